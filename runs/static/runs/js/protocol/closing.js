// Why a server closes a socket, and when to come back. The codes are those of runs/protocols/agent/closing.py; docs/reference/protocol.md lists them.

/** Codes that stand for HTTP's statuses, after which it helps to come back. */
const PASSING = new Set([4408, 4429]);
/** The longest time that a server can tell, in milliseconds. */
const LONGEST = 300_000;

/** Whether coming back cannot help before a person does something. */
export const isFinal = (code) => code === 1008 || (code >= 4400 && code < 4500 && !PASSING.has(code));

/** Whether a refused subscription may be accepted soon: the message begins with the status that HTTP would have. */
export const isPassing = (message) => /^(?:408|429|5\d\d): /.test(message ?? "");

/** The milliseconds after which the server wants its client back; null if it names no time. */
export function told(reason) {
  const found = /Retry after (\d+(?:\.\d+)?) s\.$/.exec(reason ?? "");
  return found ? Math.min(Number(found[1]) * 1000, LONGEST) : null;
}
