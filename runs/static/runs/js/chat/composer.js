// Where people write: text, files, what becomes of a run under way, Send and Stop.

import { h, icon, iconButton, reconcile, set, setText } from "../parts/dom.js";
import { openMenu } from "../parts/menu.js";
import { shorten } from "../parts/words.js";
import { fromState, textOf } from "../protocol/messages.js";
import { ACCEPT, LIMITS, readFiles } from "./files.js";

const STRATEGIES = {
  enqueue: { label: "queue", word: "If busy: queue", hint: "It is sent when the answer is complete." },
  interrupt: { label: "interrupt", word: "If busy: interrupt", hint: "The answer stops, and this goes on from there." },
  reject: { label: "refuse", word: "If busy: refuse", hint: "Nothing is sent while an answer is under way." },
};

export class Composer {
  /** @param acts send({text, files}, strategy), stop(), remove(queued), editLast(). */
  constructor(acts) {
    this.acts = acts;
    this.files = [];
    this.trays = new Map();
    this.strategy = load("strategy", "enqueue");
    if (!(this.strategy in STRATEGIES)) this.strategy = "enqueue";
    this.field = h("textarea", { id: "message", rows: "1", "aria-label": "Message", dir: "auto", enterkeyhint: "send" });
    this.field.addEventListener("input", () => this.show());
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.field.addEventListener("paste", (event) => this.pasted(event));
    this.chips = h("div.chips", { hidden: true });
    this.picker = h("input", { type: "file", multiple: true, accept: ACCEPT, hidden: true, "aria-label": "Files", on: { change: () => this.add(this.picker.files) } });
    this.busyWord = h("span", {});
    this.busyButton = h("button.b.b-q.busy-pick", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", on: { click: () => this.pickStrategy() } }, this.busyWord, icon("down", "i-s"));
    this.stopButton = h("button.b.stop", { type: "button", on: { click: () => acts.stop() } }, icon("stop", "fill"), "Stop");
    this.sendButton = h("button.b.b-i.b-p.send", { "aria-label": "Send", title: "Send (Enter)" }, icon("send"));
    this.problem = h("p.problem-line", { role: "alert", hidden: true });
    this.tray = h("div.trays");
    this.form = h("form.box", { on: { submit: (event) => this.submit(event) } }, this.chips, this.field, h("div.row", {}, iconButton("clip", `Add files (${LIMITS})`, () => this.picker.click()), this.picker, this.busyButton, h("span.sp"), this.stopButton, this.sendButton));
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
    const something = this.field.value.trim() || this.files.length;
    const words = !online ? "Sent when the connection is back" : asks ? "Answer above, or write to say something else" : empty ? "Ask a question, or drop files here" : "Write a message";
    set(this.field, "placeholder", words);
    setText(this.busyWord, STRATEGIES[this.strategy].word);
    this.busyButton.hidden = !running;
    this.stopButton.hidden = !running;
    this.sendButton.hidden = running && !something;
    set(this.sendButton, "aria-disabled", something ? null : "true");
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
    const edit = iconButton("edit", "Edit the queued message", () => {
      this.field.value = queued.text;
      this.acts.remove(queued);
      this.focus();
      this.show();
    });
    const remove = iconButton("x", "Remove the queued message", () => this.acts.remove(queued));
    return {
      element: h("div.tray", {}, h("span.st.idle", {}, icon("queued"), "Next"), text, edit, remove),
      update: (next) => {
        queued = { ...next, text: next.message ? textOf(fromState(next.message)) : "" };
        setText(text, queued.text || (next.message ? "Files" : "A run without a message"));
        edit.hidden = !queued.text;
      },
    };
  }

  focus() {
    this.field.focus();
  }

  get text() {
    return this.field.value;
  }

  set text(value) {
    this.field.value = value;
    this.show();
  }

  async submit(event) {
    event?.preventDefault();
    const text = this.field.value.trim();
    const { files } = this;
    if (!text && !files.length) return this.focus();
    this.say("");
    this.field.value = "";
    this.files = [];
    this.showFiles();
    this.show();
    try {
      await this.acts.send({ text, files }, this.strategy);
    } catch (error) {
      // What was written is not lost.
      if (!this.field.value) this.field.value = text;
      if (!this.files.length) this.files = files;
      this.showFiles();
      this.say(`Not sent: ${error.message}`);
      this.show();
    }
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
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
    const { files, problems } = await readFiles([...list], this.files);
    this.files.push(...files);
    this.picker.value = "";
    this.say(problems.join(" "));
    this.showFiles();
    this.show();
  }

  showFiles() {
    this.chips.hidden = !this.files.length;
    this.chips.replaceChildren(...this.files.map((file) => h("span.chip", {}, file.preview ? h("img", { src: file.preview, alt: "" }) : icon("doc"), h("span", { dir: "auto" }, shorten(file.name, 32)), iconButton("x", `Remove ${file.name}`, () => {
      this.files = this.files.filter((each) => each !== file);
      this.showFiles();
      this.show();
      this.focus();
    }))));
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
