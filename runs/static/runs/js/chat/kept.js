// What a tab keeps over a reload, for the user who is logged in: a tab outlives a login.

let owner = "";
/** What the storage did not take: it lasts as long as the page. */
const held = new Map();

export function keepFor(user) {
  owner = user;
}

const full = (name) => `chat ${owner} ${name}`;

/** Whether something would be lost by a reload. */
export const isHeld = () => held.size > 0;

/** What was kept under a name, or null. */
export function kept(name) {
  if (held.has(full(name))) return held.get(full(name));
  try {
    return JSON.parse(sessionStorage.getItem(full(name)));
  } catch {
    return null;
  }
}

/** Keep a value of JSON; null and what is empty are forgotten. */
export function keep(name, value) {
  const key = full(name);
  held.delete(key);
  try {
    // If the new value cannot be kept, the one before is not kept in its place.
    sessionStorage.removeItem(key);
    if (value?.length) sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    if (value?.length) held.set(key, value);
  }
}
