// What is too large for a tab's storage, kept over a reload in the browser's database, by ids that only the tab knows.

/** Milliseconds after which what no tab has asked for is removed: its tab was closed. */
const LONGEST = 24 * 60 * 60 * 1000;
const PLACE = "unsent";

/** What is not in the database, or not yet: it lasts as long as the page. */
const held = new Map();
let opened = null;

/** Whether something would be lost by a reload: one thing, or anything. */
export const isHeld = (id) => (id === undefined ? held.size > 0 : held.has(id));

/** Keep a value. Rejects if it lasts only as long as the page. */
export async function store(id, value) {
  held.set(id, value);
  await within("readwrite", (place) => place.put({ at: Date.now(), value }, id));
  held.delete(id);
}

/** The value of an id; undefined if there is none. */
export async function stored(id) {
  return held.has(id) ? held.get(id) : (await within("readonly", (place) => place.get(id)))?.value;
}

export async function discard(id) {
  held.delete(id);
  await within("readwrite", (place) => place.delete(id));
}

async function within(mode, act) {
  const database = await (opened ??= open());
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(PLACE, mode);
    const request = act(transaction.objectStore(PLACE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("chat", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(PLACE).createIndex("at", "at");
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      sweep(request.result);
      resolve(request.result);
    };
  });
}

function sweep(database) {
  const place = database.transaction(PLACE, "readwrite").objectStore(PLACE);
  const old = place.index("at").openKeyCursor(IDBKeyRange.upperBound(Date.now() - LONGEST));
  old.onsuccess = () => {
    const cursor = old.result;
    if (!cursor) return;
    place.delete(cursor.primaryKey);
    cursor.continue();
  };
}
