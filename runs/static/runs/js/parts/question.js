// The card of what a graph asks: one tab for each thing to be decided, all sent together.

import { serverNow } from "../protocol/clock.js";
import { button, h, icon, set, setText } from "./dom.js";
import { Point, TAB } from "./point.js";
import { headingOf, readQuestion } from "./questions.js";
import { seconds, shorten } from "./words.js";

let cards = 0;

const shown = (control) => (control.type === "checkbox" ? (control.checked ? "on" : "off") : control.value);

export class QuestionCard {
  /**
   * @param questions The interrupts: {id, value, schema}.
   * @param options.send Sends the answers, a list of {interrupt_id, response, namespace}; rejects with why not.
   * @param options.since When they were asked, in milliseconds of the server's clock.
   * @param options.kept What was written on the same card before a reload.
   * @param options.keep Keeps what is written: a list with a text or null for each field, or nothing.
   */
  constructor(questions, { send, since, kept = [], keep = () => {} }) {
    const name = `question-${++cards}`;
    this.send = send;
    this.since = since;
    this.keep = keep;
    this.questions = questions.map((question) => ({ ...question, ...readQuestion(question) }));
    this.points = this.questions.flatMap((question) => question.points.map((point) => new Point(point, this)));
    this.waiting = h("span.num");
    this.note = h("p", { role: "status" });
    this.again = button("Send again", () => this.answer(), { kind: "b-p", hidden: true });
    this.panels = h("div");
    const several = this.points.length > 1;
    this.tabs = several ? h("div.tabs", { role: "tablist", "aria-label": "What is asked", on: { keydown: (event) => this.arrow(event) } }) : null;
    this.points.forEach((point, place) => {
      if (several) {
        point.tab = h("button.tab", { type: "button", role: "tab", id: `${name}-tab-${place}`, "aria-controls": `${name}-${place}`, on: { click: () => this.show(place) } }, `${place + 1} ${shorten(point.point.title, TAB)}`, (point.mark = h("span.mark-of")));
        this.tabs.append(point.tab);
        set(point.element, "role", "tabpanel");
        set(point.element, "aria-labelledby", point.tab.id);
        point.element.id = `${name}-${place}`;
        point.showTitle();
      }
      this.panels.append(point.element);
    });
    this.element = h("div.step.asks.end", {}, h("section.q", { "aria-labelledby": name }, h("header.q-h", {}, icon("ask"), h("b", { id: name, dir: "auto" }, headingOf(this.points.map(({ point }) => point))), h("span.sp"), this.waiting), this.tabs, this.panels, h("div.why", {}, this.note, this.again)));
    this.controls = [...this.element.querySelectorAll("textarea, select, input:not([type=password])")].map((control) => ({ control, first: shown(control) }));
    this.show(0);
    this.restore(kept);
    this.element.addEventListener("input", () => keep(this.texts));
    this.wake();
  }

  /** Count the time while it is shown. */
  wake() {
    this.tick();
    this.clock = setInterval(() => this.tick(), 15_000);
  }

  get rest() {
    return `Sent when ${this.points.length === 2 ? "both" : `all ${this.points.length}`} are decided.`;
  }

  close() {
    clearInterval(this.clock);
  }

  tick() {
    const waited = serverNow() - this.since;
    setText(this.waiting, this.since && waited > 30_000 ? `waiting ${seconds(waited)}` : "");
  }

  show(place) {
    this.points.forEach((point, each) => {
      point.element.hidden = each !== place;
      if (!point.tab) return;
      set(point.tab, "aria-selected", String(each === place));
      set(point.tab, "tabindex", each === place ? "0" : "-1");
    });
    this.place = place;
  }

  arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const place = (this.place + step + this.points.length) % this.points.length;
    this.show(place);
    this.points[place].tab.focus();
  }

  /** A point was decided: go on to the next one that is not, or send all. */
  async decided(point, decision) {
    if (this.points.length === 1) {
      point.decision = decision;
      return this.answer();
    }
    const hadFocus = point.element.contains(document.activeElement);
    point.settle(decision);
    const open = this.points.findIndex((each) => !each.decision);
    // What had the focus is hidden now.
    if (hadFocus) (this.points[open] ?? point).tab.focus();
    if (open < 0) return this.answer();
    setText(this.note, this.rest);
    this.show(open);
  }

  /** A point is to be decided again. */
  reconsidered(point) {
    point.settle(null);
    this.again.hidden = true;
    setText(this.note, this.rest);
  }

  async answer() {
    let next = 0;
    const responses = this.questions.map((question) => {
      const mine = this.points.slice(next, (next += question.points.length));
      return { interrupt_id: question.id, namespace: question.namespace ?? [], response: question.answer(mine.map(({ decision }) => decision)) };
    });
    this.busy(true);
    this.again.hidden = true;
    setText(this.note, "Sending…");
    try {
      await this.send(responses);
      if (this.sending) setText(this.note, "Sent.");
      this.isSent = this.sending;
      if (this.isSent) this.keep(null);
    } catch (error) {
      this.reopen(`Not sent: ${error.message}`);
    }
  }

  /** Let it be decided again. */
  reopen(why) {
    if (this.points.length > 1) this.again.hidden = false;
    else this.points[0].decision = null;
    this.isSent = false;
    this.busy(false);
    setText(this.note, why);
  }

  /** What each field has that it did not have first, or null; null if no field has. */
  get texts() {
    const texts = this.controls.map(({ control, first }) => (shown(control) === first ? null : shown(control)));
    return texts.some((text) => text !== null) ? texts : null;
  }

  restore(texts) {
    this.controls.forEach(({ control }, place) => {
      if (texts?.[place] == null) return;
      if (control.type === "checkbox") control.checked = texts[place] === "on";
      else control.value = texts[place];
      for (let fold = control.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
      control.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  /** What was written on it and is not sent: [{label, text}]. */
  get written() {
    const isText = ({ type, tagName }) => type !== "checkbox" && tagName !== "SELECT";
    const changed = this.isSent || this.sending ? [] : this.controls.filter(({ control, first }) => isText(control) && control.value !== first && control.value);
    return changed.map(({ control }) => ({ label: control.labels?.[0]?.textContent ?? "", text: control.value }));
  }

  busy(yes) {
    for (const each of this.element.querySelectorAll(".q-f button, .saying button, .verdict button")) set(each, "aria-disabled", yes ? "true" : null);
    this.element.classList.toggle("busy", yes);
    this.sending = yes;
  }
}
