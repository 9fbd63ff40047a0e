// Where people write: text, files, what becomes of a run under way, Send and Stop.

import { composes, h, icon, iconButton, reconcile, set, setText } from "../parts/dom.js";
import { openMenu } from "../parts/menu.js";
import { shorten } from "../parts/words.js";
import { Drafts } from "./drafts.js";
import { ACCEPT, limitsText, partsOf, titleOfContent } from "./files.js";

const STRATEGIES = {
  enqueue: { label: "queue", word: "If busy: queue", hint: "It is sent when the answer is complete." },
  interrupt: { label: "interrupt", word: "If busy: interrupt", hint: "The answer stops, and this goes on from there." },
  reject: { label: "refuse", word: "If busy: refuse", hint: "Nothing is sent while an answer is under way." },
};

export class Composer {
  /** @param acts send({text, files}, strategy), stop(), remove(queued), which resolves with whether it was, and editLast(). */
  constructor(acts) {
    this.acts = acts;
    this.drafts = new Drafts();
    this.draft = this.drafts.of(null);
    this.trays = new Map();
    this.strategy = load("strategy", "enqueue");
    if (!(this.strategy in STRATEGIES)) this.strategy = "enqueue";
    this.field = h("textarea", { id: "message", rows: "1", "aria-label": "Message", dir: "auto", enterkeyhint: "send" });
    this.field.addEventListener("input", () => {
      this.draft.text = this.field.value;
      this.show();
    });
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.field.addEventListener("paste", (event) => this.pasted(event));
    this.chips = h("div.chips", { hidden: true });
    this.picker = h("input", { type: "file", multiple: true, accept: ACCEPT, hidden: true, "aria-label": "Files", on: { change: () => this.add(this.picker.files) } });
    this.busyWord = h("span", {});
    this.busyButton = h("button.b.b-q.busy-pick", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", on: { click: () => this.pickStrategy() } }, this.busyWord, icon("down", "i-s"));
    this.stopButton = h("button.b.stop", { type: "button", on: { click: () => acts.stop() } }, icon("stop", "fill"), "Stop");
    this.sendButton = h("button.b.b-i.b-p.send", { "aria-label": "Send" }, icon("send"));
    this.problem = h("p.problem-line", { role: "alert", hidden: true });
    this.tray = h("div.trays");
    this.form = h("form.box", { on: { submit: (event) => this.submit(event) } }, this.chips, this.field, h("div.row", {}, iconButton("clip", `Add files (${limitsText()})`, () => this.picker.click()), this.picker, this.busyButton, h("span.sp"), this.stopButton, this.sendButton));
    this.element = h("div.comp-in", {}, this.problem, this.tray, this.form);
    this.state = { running: false, online: true, asks: false, queued: [] };
    this.show();
  }

  /** @param state {running, online, asks, queued, empty}. */
  update(state) {
    this.state = { ...this.state, ...state };
    this.show();
  }

  show() {
    const { running, online, asks, queued, empty } = this.state;
    const something = !this.draft.isEmpty;
    if (this.field.value !== this.draft.text) this.field.value = this.draft.text;
    const words = !online ? "Sent when the connection is back" : asks ? "Answer above, or write instead" : empty ? "Ask a question, or drop files here" : "Write a message";
    set(this.field, "placeholder", words);
    setText(this.busyWord, STRATEGIES[this.strategy].word);
    this.busyButton.hidden = !running;
    this.stopButton.hidden = !running;
    this.sendButton.hidden = running && !something;
    const unable = !something ? "There is nothing to send yet" : this.draft.isAwaited ? "The files are still being read" : null;
    set(this.sendButton, "aria-disabled", unable && "true");
    set(this.sendButton, "title", unable ?? "Send (Enter)");
    this.showFiles();
    reconcile(this.tray, this.trays, queued, { key: ({ id }) => id, make: () => this.makeTray() });
    // The browser may not grow it by itself.
    if (!CSS.supports("field-sizing", "content")) {
      this.field.style.height = "auto";
      this.field.style.height = `${this.field.scrollHeight}px`;
    }
  }

  makeTray() {
    let queued;
    const text = h("em", { dir: "auto" });
    const edit = iconButton("edit", "Edit the queued message", async () => {
      const { draft } = this;
      const { content } = queued.message;
      if (await this.acts.remove(queued)) this.putBack(partsOf(content), draft);
    });
    const remove = iconButton("x", "Remove the queued message", () => this.acts.remove(queued));
    return {
      element: h("div.tray", {}, h("span.st.idle", {}, icon("queued"), "Next"), text, edit, remove),
      update: (next) => {
        queued = next;
        setText(text, next.message ? titleOfContent(next.message.content) : "A run without a message");
        edit.hidden = !queued.message;
      },
    };
  }

  focus() {
    this.field.focus();
  }

  /** Write to another thread, or to one that has not begun; `fresh` if it is what has begun just now. */
  turnTo(thread, { fresh = false } = {}) {
    if (fresh) this.drafts.begin(thread);
    this.draft = this.drafts.of(thread);
    this.say("");
    this.show();
  }

  async submit(event) {
    event?.preventDefault();
    const { draft } = this;
    if (draft.isEmpty) return this.focus();
    if (draft.isAwaited) return;
    this.say("");
    draft.isAwaited = true;
    while (draft.reads) {
      this.show();
      await draft.reading;
    }
    draft.isAwaited = false;
    // Nothing is sent out of sight, nor without a file that was left out meanwhile.
    if (draft === this.draft && this.problem.hidden) await this.send(draft.take(), draft);
  }

  /** Send a message; what cannot be sent is put back to where it was written. */
  async send(message, draft = this.draft) {
    this.show();
    try {
      await this.acts.send(message, this.strategy);
    } catch (error) {
      this.putBack(message, draft);
      if (draft === this.draft) this.say(`Not sent: ${error.message}`);
    }
  }

  putBack(message, draft) {
    draft.putBack(message);
    if (draft !== this.draft) return;
    this.show();
    this.focus();
  }

  key(event) {
    if (composes(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" && !this.field.value) {
      event.preventDefault();
      this.acts.editLast();
    }
  }

  say(text) {
    setText(this.problem, text);
    this.problem.hidden = !text;
  }

  pickStrategy() {
    openMenu(this.busyButton, Object.entries(STRATEGIES).map(([name, { label, hint }]) => ({ label: label[0].toUpperCase() + label.slice(1), hint, checked: name === this.strategy, act: () => {
      this.strategy = name;
      save("strategy", name);
      this.show();
      this.focus();
    } })));
  }

  // --- files

  pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  async add(list) {
    const { draft } = this;
    const reading = draft.add([...list]);
    this.picker.value = "";
    this.say("");
    this.show();
    const problems = await reading;
    if (draft !== this.draft) return;
    if (problems.length) this.say(problems.join(" "));
    this.show();
  }

  showFiles() {
    const { files, reads } = this.draft;
    if (files === this.shownFiles && reads === this.shownReads) return;
    [this.shownFiles, this.shownReads] = [files, reads];
    this.chips.hidden = !files.length && !reads;
    this.chips.replaceChildren(...files.map((file) => this.chip(file)), ...(reads ? [h("span.chip.quiet", { role: "status" }, "Reading files…")] : []));
  }

  chip(file) {
    const remove = iconButton("x", `Remove ${file.name}`, () => {
      this.draft.files = this.draft.files.filter((each) => each !== file);
      this.show();
      this.focus();
    });
    return h("span.chip", {}, file.preview ? h("img", { src: file.preview, alt: "" }) : icon("doc"), h("span", { dir: "auto" }, shorten(file.name, 32)), remove);
  }
}

function load(name, otherwise) {
  try {
    return localStorage.getItem(`chat-${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function save(name, value) {
  try {
    localStorage.setItem(`chat-${name}`, value);
  } catch {
    // Without storage it holds until the page is left.
  }
}
