// The versions of a thread's messages. Each run says which run it follows and which message it brought; runs of other clients
// follow the one before, and their messages are known by their texts. Pure.

import { textOf } from "../protocol/messages.js";

/** Characters of a message that the server tells for a run of another client. */
const SAID = 200;

/** A run's place: {id, parent, message, said}. */
export class Branches {
  /**
   * @param runs The thread's runs as the page's server lists them, newest first: {run_id, status, parent, message, said}.
   * @param options.isCut Whether there are older ones.
   */
  constructor(runs = [], { isCut = false } = {}) {
    this.isCut = isCut;
    this.runs = new Map();
    let before = null;
    for (const { run_id: id, status, parent, message, said } of [...runs].reverse()) {
      if (status === "pending") continue;
      // One that is not there was taken back while it waited, or is older than all that are listed.
      const follows = parent === "" ? null : this.runs.has(parent) || (isCut && parent) ? parent : before;
      // What the first one follows is not known if it does not say so.
      if (!isCut || follows !== null || parent === "") this.runs.set(id, { id, parent: follows, message, said });
      before = id;
    }
    this.newest = before;
    this.index();
  }

  index() {
    this.byMessage = new Map();
    this.unknown = [];
    const siblings = new Map();
    for (const run of this.runs.values()) {
      if (!run.message && !run.said) continue;
      if (!run.message) this.unknown.push(run);
      else if (!this.byMessage.has(run.message)) this.byMessage.set(run.message, run);
      siblings.set(run.parent, [...(siblings.get(run.parent) ?? []), run]);
    }
    this.places = new Map();
    for (const runs of siblings.values()) runs.forEach((run, place) => this.places.set(run.id, { place: place + 1, total: runs.length, runs }));
  }

  /** Find which messages the runs of other clients brought without naming them: by their texts, in their order. */
  recognise(messages) {
    if (!this.unknown.length) return;
    // Of a thread whose beginning is not listed only the end is sure.
    const ordered = (list) => (this.isCut ? [...list].reverse() : [...list]);
    const open = ordered(this.unknown);
    let found = false;
    for (const message of ordered(messages)) {
      if (message.role !== "human" || !message.id || this.byMessage.has(message.id)) continue;
      const said = [...textOf(message)].slice(0, SAID).join("");
      const place = open.findIndex((run) => run.said === said);
      if (place < 0) continue;
      open[place].message = message.id;
      open.splice(0, place + 1);
      found = true;
    }
    if (found) this.index();
  }

  ofMessage(id) {
    return this.byMessage.get(id);
  }

  /** The versions of a message: {place, total, runs}; undefined if it is not known which run brought it. */
  versions(messageId) {
    return this.places.get(this.byMessage.get(messageId)?.id);
  }

  /** The newest run that follows a run, and its followers. */
  leaf(id) {
    const next = [...this.runs.values()].filter(({ parent }) => parent === id).at(-1);
    return next ? this.leaf(next.id) : id;
  }
}
