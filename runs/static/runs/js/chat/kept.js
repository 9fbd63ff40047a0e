// What a tab keeps over a reload, for the user who is logged in: a tab outlives a login.

let owner = "";

export function keepFor(user) {
  owner = user;
}

const full = (name) => `chat ${owner} ${name}`;

/** What was kept under a name, or null. */
export function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(full(name)));
  } catch {
    return null;
  }
}

/** Keep a value of JSON; null and what is empty are forgotten. */
export function keep(name, value) {
  try {
    if (value?.length) sessionStorage.setItem(full(name), JSON.stringify(value));
    else sessionStorage.removeItem(full(name));
  } catch {
    // Without storage, or with more than it holds, it lasts as long as the page.
  }
}
