// What one graph of a thread has said: the messages of its state, and those that were streamed since. Pure.

import { fromState } from "./messages.js";

/** A namespace as a key. */
export const join = (namespace) => namespace.join("|");

/** Whether two JSON values are the same. */
function isEqual(one, other) {
  if (one === other) return true;
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object" || Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => isEqual(one[name], other[name]));
}

/** A graph's own state and messages: the root, or a subgraph. */
export class Scope {
  constructor(namespace) {
    this.namespace = namespace;
    this.key = join(namespace);
    this.values = {};
    /** Messages of the values, as pages show them. */
    this.messages = [];
    /** The messages of the values before: {raw, message} by their keys. */
    this.known = new Map();
    this.streamed = new Map();
    /** How often something about it has changed: pages keep what they have made of it until then. */
    this.changes = 0;
    this.status = null;
    this.name = namespace.at(-1)?.split(":")[0] ?? "";
    this.callId = null;
    this.anchor = null;
    this.runId = null;
    this.startedAt = null;
    this.endedAt = null;
    this.error = null;
  }

  take(values) {
    this.changes += 1;
    this.values = values ?? {};
    const listed = this.values.messages;
    // A state without messages says nothing about those that were streamed.
    if (!Array.isArray(listed)) return;
    const before = this.messages.length;
    // Whoever goes on after a loss says once more which messages are withdrawn, by empty ones of their ids.
    const kept = listed.filter((each) => each && typeof each === "object" && !this.streamed.get(each.id)?.lost);
    const known = new Map();
    this.messages = kept.map((each, place) => this.read(each, each.id ?? `${this.key}#${place}`, known));
    this.known = known;
    const ids = new Set();
    for (const message of this.messages) {
      ids.add(message.id);
      const streamed = this.streamed.get(message.id);
      if (streamed) Object.assign(message, { key: streamed.key, startedAt: streamed.startedAt, endedAt: streamed.endedAt, node: streamed.node, timed: streamed.blocks });
    }
    for (const [id, message] of this.streamed) {
      if (ids.has(id) || !message.done || message.after !== undefined) continue;
      // The step is over, and its result does not have it. A lost one stays until something has taken its place.
      if (!message.lost || this.messages.length > before) this.streamed.delete(id);
    }
  }

  /** A message of a state: the same object as before if nothing about it has changed, so that pages need not look at it again. */
  read(raw, key, known) {
    const before = this.known.get(key);
    const now = before && isEqual(before.raw, raw) ? before : { raw, message: { ...fromState(raw), key } };
    known.set(key, now);
    return now.message;
  }

  /** All messages in order, streamed ones last; those that `keep` has kept stand where they stood. */
  all() {
    const ids = new Set(this.messages.map(({ id }) => id));
    const kept = new Map();
    const last = [];
    for (const streamed of this.streamed.values()) {
      if (ids.has(streamed.id) || streamed.replaced) continue;
      if (streamed.after === undefined) last.push(streamed.shown());
      else kept.set(streamed.after, [...(kept.get(streamed.after) ?? []), streamed.shown()]);
    }
    const found = [...(kept.get(null) ?? [])];
    for (const message of this.messages) found.push(message, ...(kept.get(message.key) ?? []));
    return [...found, ...last];
  }

  /** A run was stopped, or failed: what it has said and nothing has saved stays where it stands. */
  keep() {
    this.changes += 1;
    const ids = new Set(this.messages.map(({ id }) => id));
    const after = this.messages.at(-1)?.key ?? null;
    for (const message of this.streamed.values()) {
      if (!ids.has(message.id) && message.after === undefined && !message.replaced && message.blocks.some(Boolean)) Object.assign(message, { after, done: true });
    }
  }

  /** What a lost attempt has said is told anew by now, or never will be. */
  forgetLost() {
    this.changes += 1;
    for (const [key, message] of this.streamed) if (message.lost) this.streamed.delete(key);
  }

  lose() {
    this.changes += 1;
    const ids = new Set(this.messages.map(({ id }) => id));
    for (const message of this.streamed.values()) {
      if (!ids.has(message.id)) Object.assign(message, { lost: true, done: true });
    }
  }

  /** The lost message that a new one, of the same node, says anew. */
  lostOf(node) {
    return [...this.streamed.values()].find((message) => message.lost && !message.replaced && message.node === node);
  }
}
