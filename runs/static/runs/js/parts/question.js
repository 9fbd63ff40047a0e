// The card of what a graph asks: one tab for each thing to be decided, all sent together.

import { Markdown } from "./markdown.js";
import { button, h, icon, set, setText } from "./dom.js";
import { FieldError, objectForm, schemaOf } from "./form.js";
import { tree } from "./json.js";
import { readQuestion } from "./questions.js";
import { seconds } from "./words.js";

let cards = 0;

export class QuestionCard {
  /**
   * @param questions The interrupts: {id, value, schema}.
   * @param options.send Sends the answers, a list of {interrupt_id, response, namespace}; rejects with why not.
   * @param options.since When they were asked, in milliseconds of the clock.
   */
  constructor(questions, { send, since }) {
    const name = `question-${++cards}`;
    this.send = send;
    this.since = since;
    this.questions = questions.map((question) => ({ ...question, ...readQuestion(question) }));
    this.points = this.questions.flatMap((question) => question.points.map((point) => new Point(point, this)));
    this.waiting = h("span.num");
    this.note = h("p.why", { role: "status" });
    this.panels = h("div");
    const several = this.points.length > 1;
    const title = several ? `May I do these ${this.points.length} things?` : this.points[0].heading;
    this.tabs = several ? h("div.tabs", { role: "tablist", "aria-label": "What is asked", on: { keydown: (event) => this.arrow(event) } }) : null;
    this.points.forEach((point, place) => {
      if (several) {
        point.tab = h("button.tab", { type: "button", role: "tab", id: `${name}-tab-${place}`, "aria-controls": `${name}-${place}`, on: { click: () => this.show(place) } }, `${place + 1} ${point.point.title}`, (point.mark = h("span.mark-of")));
        this.tabs.append(point.tab);
        set(point.element, "role", "tabpanel");
        set(point.element, "aria-labelledby", point.tab.id);
        point.element.id = `${name}-${place}`;
      }
      this.panels.append(point.element);
    });
    this.element = h("div.step.asks.end", {}, h("section.q", { "aria-labelledby": name }, h("header.q-h", {}, icon("ask"), h("b", { id: name, dir: "auto" }, title), h("span.sp"), this.waiting), this.tabs, this.panels, this.note));
    this.show(0);
    this.tick();
    this.clock = setInterval(() => this.tick(), 15_000);
  }

  close() {
    clearInterval(this.clock);
  }

  tick() {
    const waited = Date.now() - this.since;
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
    point.decision = decision;
    point.mark?.replaceChildren(icon(decision.type === "reject" || decision.type === "ignore" ? "x" : "check", "i-s"), h("span.vh", {}, decision.word));
    const open = this.points.findIndex((each) => !each.decision);
    if (open >= 0) {
      setText(this.note, `Sent when all ${this.points.length} are decided.`);
      this.show(open);
      return;
    }
    await this.answer();
  }

  async answer() {
    let next = 0;
    const responses = this.questions.map((question) => {
      const mine = this.points.slice(next, (next += question.points.length));
      return { interrupt_id: question.id, namespace: question.namespace ?? [], response: question.answer(mine.map(({ decision }) => decision)) };
    });
    this.busy(true);
    setText(this.note, "Sending…");
    try {
      await this.send(responses);
      setText(this.note, "Sent.");
    } catch (error) {
      for (const point of this.points) point.decision = this.points.length > 1 ? point.decision : null;
      this.busy(false);
      setText(this.note, `Not sent: ${error.message}`);
    }
  }

  busy(yes) {
    for (const each of this.element.querySelectorAll(".q-f button")) set(each, "aria-disabled", yes ? "true" : null);
    this.element.classList.toggle("busy", yes);
    this.sending = yes;
  }
}

/** One thing to be decided. */
class Point {
  constructor(point, card) {
    this.point = point;
    this.card = card;
    this.problem = h("p.problem-line", { role: "alert", hidden: true });
    this.form = h("form.q-b", { novalidate: true, on: { submit: (event) => event.preventDefault() } }, ...this[point.kind](point), this.problem);
    this.element = h("div", {}, this.form);
  }

  get heading() {
    return this.point.kind === "action" ? `May I run ${this.point.title}?` : this.point.title;
  }

  text(text) {
    if (!text) return null;
    const markdown = new Markdown();
    markdown.update(text, false);
    return markdown.element;
  }

  decide(type, word, more = () => ({})) {
    if (this.card.sending) return;
    this.problem.hidden = true;
    try {
      this.card.decided(this, { type, word, ...more() });
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }

  action({ title, description, args, allowed, schema }) {
    const may = (type) => allowed.includes(type);
    const form = may("edit") && Object.keys(args).length ? objectForm(schema ?? { type: "object", properties: Object.fromEntries(Object.entries(args).map(([name, value]) => [name, schemaOf(value)])), required: Object.keys(args) }, args, { legend: `Arguments of ${title}` }) : null;
    const before = JSON.stringify(args);
    const edited = () => form && JSON.stringify(form.read()) !== before;
    const approve = button("Approve", () => this.decide(...this.approval(form, edited)), { kind: "b-p", glyph: "check" });
    const undo = button("Undo edits", () => {
      this.form.reset();
      for (const input of this.form.querySelectorAll("input, textarea, select")) input.dispatchEvent(new Event("input", { bubbles: true }));
    }, { hidden: true });
    if (form) {
      form.element.addEventListener("input", () => {
        let changed = true;
        try {
          changed = edited();
        } catch {
          changed = true;
        }
        undo.hidden = !changed;
        approve.lastChild.textContent = changed ? "Approve with edits" : "Approve";
      });
      for (const input of form.element.querySelectorAll("input, textarea")) input.defaultValue = input.value;
      for (const option of form.element.querySelectorAll("option")) option.defaultSelected = option.selected;
    }
    const shown = form?.element ?? (Object.keys(args).length ? tree(args) : null);
    const reject = may("reject") ? this.saying("reject", "Reject…", "Why not? The agent reads this.", "Reject", { kind: "b-d", optional: false }) : null;
    const respond = may("respond") ? this.saying("respond", "Answer…", "What should the agent know?", "Send the answer", { optional: false }) : null;
    const ignore = may("ignore") ? button("Ignore", () => this.decide("ignore", "ignored")) : null;
    if (!may("approve") && !may("edit")) approve.hidden = true;
    return [this.text(description), shown, h("div.q-f", {}, approve, undo, respond?.open, ignore, reject?.open), respond?.area, reject?.area];
  }

  approval(form, edited) {
    try {
      return edited() ? ["edit", "approved with edits", () => ({ args: form.read() })] : ["approve", "approved"];
    } catch {
      return ["edit", "approved with edits", () => ({ args: form.read() })];
    }
  }

  /** A button that asks for a text first. */
  saying(type, label, hint, word, { kind, optional }) {
    const id = `say-${++cards}`;
    const field = h("textarea.in", { id, rows: "2", dir: "auto" });
    const send = button(word, () => this.decide(type, word.toLowerCase(), () => {
      const message = field.value.trim();
      if (!message && !optional) {
        field.focus();
        throw new FieldError("Write a sentence first.");
      }
      return { message };
    }), { kind: kind ?? "b-p" });
    const area = h("div.f.saying", { hidden: true }, h("label", { for: id }, hint), field, h("div.row", {}, send, button("Back", () => toggle(false), { kind: "b-q" })));
    const open = button(label, () => toggle(true), { kind, "aria-expanded": "false" });
    const toggle = (yes) => {
      area.hidden = !yes;
      set(open, "aria-expanded", String(yes));
      (yes ? field : open).focus();
    };
    return { open, area };
  }

  choice({ description, options }) {
    return [this.text(description), h("div.q-f.options", {}, options.map(({ label, value }) => button(label, () => this.decide("choice", label, () => ({ value })))))];
  }

  form({ description, schema }) {
    const form = objectForm(schema);
    return [this.text(description), form.element, h("div.q-f", {}, button("Send the answer", () => this.decide("form", "answered", () => ({ value: form.read() })), { kind: "b-p", glyph: "check" }))];
  }

  free({ value }) {
    const id = `say-${++cards}`;
    const field = h("textarea.in", { id, rows: "2", dir: "auto" });
    const json = h("input", { type: "checkbox", id: `${id}-json` });
    const read = () => {
      if (!json.checked) return { value: field.value };
      try {
        return { value: JSON.parse(field.value) };
      } catch (error) {
        field.focus();
        throw new FieldError(`This is no JSON: ${error.message}`);
      }
    };
    return [
      value === undefined ? null : h("div.asked", {}, tree(value)),
      h("div.f", {}, h("label", { for: id }, "Your answer"), field),
      h("div.f.check", {}, json, h("label", { for: `${id}-json` }, "It is JSON")),
      h("div.q-f", {}, button("Send the answer", () => this.decide("free", "answered", read), { kind: "b-p", glyph: "check" })),
    ];
  }
}
