// The server's time. The clock of the browser's machine may be wrong, so it is never compared with a time of the server.

let ahead = null;

/**
 * Learn from a time that the server has told, in milliseconds. It was told in the past, so the latest one is the nearest: those of
 * events that are told again, or that came late, change nothing.
 */
export function learn(time) {
  // This clock is never set, and where it stands still while a machine sleeps, the next time told makes up for it.
  if (Number.isFinite(time)) ahead = Math.max(ahead ?? -Infinity, time - performance.now());
}

/** Milliseconds of the server's clock; before anything is known, of the browser's. */
export const serverNow = () => (ahead === null ? Date.now() : performance.now() + ahead);
