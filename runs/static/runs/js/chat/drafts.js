// What is written and not sent yet, for each thread; its text is kept over a reload.

import { keep, kept } from "./kept.js";
import { readFiles } from "./files.js";

export class Draft {
  constructor(name) {
    this.name = name;
    this.written = kept(this.place) ?? "";
    this.files = [];
    /** How many times files were added that are still being read; and what to wait for until they are. */
    this.reads = 0;
    this.reading = Promise.resolve();
  }

  get place() {
    return `draft ${this.name}`;
  }

  get text() {
    return this.written;
  }

  set text(text) {
    // As a field has it, which is compared with this.
    this.written = text.replace(/\r\n?/g, "\n");
    keep(this.place, this.written);
  }

  get isEmpty() {
    return !this.text.trim() && !this.files.length && !this.reads;
  }

  /** Take all of it away, to be sent: {text, files}. */
  take() {
    const message = { text: this.text.trim(), files: this.files };
    this.text = "";
    this.files = [];
    return message;
  }

  /** Put a message before what has been written since. */
  putBack({ text, files }) {
    this.text = [text, this.text].filter(Boolean).join("\n\n");
    this.files = [...files, ...this.files];
  }

  /** Read files, after those that are being read: all of a message have one limit. Resolves with why some were left out. */
  add(chosen) {
    this.reads += 1;
    const found = this.reading.then(async () => {
      const { files, problems } = await readFiles(chosen, this.files);
      this.files = [...this.files, ...files];
      this.reads -= 1;
      return problems;
    });
    this.reading = found;
    return found;
  }
}

export class Drafts {
  constructor() {
    this.all = new Map();
  }

  /** The draft of a thread, or of one that has not begun. */
  of(thread) {
    const name = thread ?? "new";
    if (!this.all.has(name)) this.all.set(name, new Draft(name));
    return this.all.get(name);
  }

  /** A thread has begun: what is being written belongs to it. */
  begin(thread) {
    const draft = this.of(null);
    this.all.delete(draft.name);
    keep(draft.place, null);
    draft.name = thread;
    draft.text = draft.written;
    this.all.set(thread, draft);
  }
}
