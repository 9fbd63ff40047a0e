// The data of a run's page, from the admin's own endpoints.

import { seconds } from "../parts/words.js";
import { Refused, Unreachable } from "../protocol/api.js";

export class RunData {
  /** @param settings.data The address below which the parts are. */
  constructor({ data }, token) {
    this.root = new URL(data, location.href);
    this.token = token;
  }

  address(part, query = {}) {
    const url = new URL(`${part}/`, this.root);
    for (const [name, value] of Object.entries(query)) if (value != null && value !== "") url.searchParams.set(name, value);
    return url;
  }

  get(part, query) {
    return ask(this.address(part, query));
  }

  /** Take an action. Sent again after a lost answer, the same one makes one run. */
  async act(body) {
    const text = JSON.stringify(body);
    if (text !== this.sent) [this.sent, this.request] = [text, Array.from(crypto.getRandomValues(new Uint32Array(4)), (each) => each.toString(36)).join("-")];
    const found = await ask(this.address("act"), { token: this.token, body: { ...body, request: this.request } });
    this.sent = null;
    return found;
  }
}

/** The JSON of one of the admin's addresses; with a body it is sent there. Rejects with a sentence. */
export async function ask(url, { token, body } = {}) {
  const sent = body ? { method: "POST", headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token }, body: JSON.stringify(body) } : { headers: { Accept: "application/json" } };
  let response;
  try {
    response = await fetch(url, sent);
  } catch {
    throw new Unreachable();
  }
  const json = response.headers.get("content-type")?.includes("json");
  const found = json ? await response.json() : null;
  // The token is that of the login for which the page was made. It is not renewed: the page may be another operator's.
  if (response.status === 403 && !json && (await response.text()).includes("CSRF")) throw new Refused(403, "Somebody has logged in since this page was opened. Load it again.");
  if (!response.ok) throw new Refused(response.status, found?.detail ?? `The server answers ${response.status}.`);
  if (!json) throw new Refused(401, "You are logged out. Load the page again.");
  return found;
}

export const IN_FLIGHT = ["pending", "running"];

/** How a run, a span or an attempt stands: the state's name of the look, and its word. */
const STATES = {
  pending: ["queued", "Queued"], running: ["running", "Running"], success: ["done", "Done"], done: ["done", "Done"], error: ["failed", "Failed"], failed: ["failed", "Failed"],
  timeout: ["timeout", "Timed out"], interrupted: ["stopped", "Cancelled"], cancelled: ["stopped", "Cancelled"], asked: ["ask", "Waits for a person"], lost: ["lost", "Worker lost"],
  drained: ["stopped", "Drained"], requeued: ["stopped", "Requeued"], stopped: ["stopped", "Stopped"],
};

export const stateOf = (name) => STATES[name] ?? ["stopped", name];

export function clock(milliseconds) {
  const date = new Date(milliseconds);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0").slice(0, 1)}`;
}

export const short = (id) => id.replaceAll("-", "").slice(-8);

/** A length of time; steps are often shorter than a second. */
export const took = (milliseconds) => (milliseconds < 950 ? `${Math.max(0, Math.round(milliseconds))} ms` : seconds(milliseconds));
