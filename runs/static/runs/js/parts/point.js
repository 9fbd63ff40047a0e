// One thing that is to be decided on a question's card: an action, a choice, a form, or a text.

import { button, h, state } from "./dom.js";
import { fail, FieldError, objectForm, schemaOfValues } from "./form.js";
import { tree } from "./json.js";
import { Markdown } from "./markdown.js";
import { headingOf } from "./questions.js";
import { shorten } from "./words.js";

/** Characters of a title that its tab has. */
export const TAB = 40;

let fields = 0;

/** The schema of an action's arguments: what it does not know of them is shown too, because all of them are decided about. */
function schemaOf(args, schema) {
  const own = schemaOfValues(args);
  return schema?.properties ? { ...schema, properties: { ...schema.properties, ...Object.fromEntries(Object.entries(own.properties).filter(([name]) => !(name in schema.properties))) } } : (schema ?? own);
}

export class Point {
  constructor(point, card) {
    this.point = point;
    this.card = card;
    this.form = h("form.q-b", { novalidate: true, on: { submit: (event) => event.preventDefault() } }, ...this[point.kind](point));
    this.verdict = h("p.verdict", { hidden: true });
    this.element = h("div", {}, this.verdict, this.form);
  }

  get heading() {
    return headingOf([this.point]);
  }

  /** Show in it what is asked: its tab only has the beginning of that. */
  showTitle() {
    if (this.point.kind !== "action" || this.point.title.length > TAB) this.form.prepend(h("p.asked-what", { dir: "auto" }, this.point.title));
  }

  /** What was decided, as its shape, colour and word. */
  shapeOf({ type }, word) {
    return state(type === "reject" || type === "ignore" ? "stopped" : "done", { word });
  }

  /** What was decided, on a card where other things are not yet: it cannot be changed by accident, and is sent as it was. */
  settle(decision) {
    this.decision = decision;
    this.form.classList.toggle("decided", Boolean(decision));
    for (const each of this.form.querySelectorAll("input, textarea, select")) each.disabled = Boolean(decision);
    this.verdict.hidden = !decision;
    this.mark.replaceChildren(...(decision ? [this.shapeOf(decision, shorten(decision.word, 24))] : []));
    if (!decision) return;
    const change = button("Change", () => {
      if (this.card.sending) return;
      this.card.reconsidered(this);
      this.ask(null);
      this.form.querySelector(".q-f button").focus();
    }, { "aria-label": `Change what you decided about ${this.point.title}` });
    this.verdict.replaceChildren(this.shapeOf(decision, `You decided: ${decision.word}`), " ", ...(decision.message ? [h("q", { dir: "auto" }, decision.message)] : []), change);
  }

  /** Show the field for a text that a decision needs, in the place of the buttons; null shows the buttons. */
  ask(area) {
    for (const each of this.form.querySelectorAll(".saying")) each.hidden = each !== area;
    this.form.querySelector(".q-f").hidden = Boolean(area);
  }

  text(text) {
    if (!text) return null;
    const markdown = new Markdown();
    markdown.update(text, false);
    return markdown.element;
  }

  decide(type, word, more = () => ({})) {
    if (this.card.sending) return;
    try {
      this.card.decided(this, { type, word, ...more() });
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
    }
  }

  action({ title, description, args, allowed, schema }) {
    const may = (type) => allowed.includes(type);
    const form = may("edit") && Object.keys(args).length ? objectForm(schemaOf(args, schema), args, { legend: `Arguments of ${title}` }) : null;
    const approve = may("approve") || may("edit") ? this.approving(form, args, may) : [];
    const shown = form?.element ?? (Object.keys(args).length ? tree(args, { open: true }) : null);
    const reject = may("reject") ? this.saying("reject", "Reject…", "Why not? The agent reads this.", "Reject", { kind: "b-d" }) : null;
    const respond = may("respond") ? this.saying("respond", "Answer…", "What should the agent know?", "Send the answer") : null;
    const ignore = may("ignore") ? button("Ignore", () => this.decide("ignore", "ignored")) : null;
    return [this.text(description), shown, h("div.q-f", {}, approve, respond?.open, ignore, reject?.open), respond?.area, reject?.area];
  }

  /** The button that lets the action be done, with the arguments as they are or as they were edited; and one that undoes edits. */
  approving(form, args, may) {
    // Where it may not be approved, the same is said by an edit that changes nothing.
    const words = may("approve") ? ["Approve", "Approve with edits"] : ["Send unchanged", "Send with edits"];
    const decide = () => {
      const isEdited = form?.isTouched() ?? false;
      return this.decide(isEdited || !may("approve") ? "edit" : "approve", isEdited ? "approved with edits" : "approved", () => (isEdited || !may("approve") ? { args: form?.read() ?? args } : {}));
    };
    const approve = button(words[0], decide, { kind: "b-p", glyph: "check" });
    const undo = button("Undo edits", () => form.undo(), { hidden: true });
    form?.element.addEventListener("input", () => {
      undo.hidden = !form.isTouched();
      approve.lastChild.textContent = words[undo.hidden ? 0 : 1];
    });
    return [approve, undo];
  }

  /** A button that asks for a text first. */
  saying(type, label, hint, word, { kind } = {}) {
    const id = `say-${++fields}`;
    const field = h("textarea.in", { id, rows: "2", dir: "auto" });
    const send = button(word, () => this.decide(type, type === "reject" ? "rejected" : "answered", () => ({ message: field.value.trim() || fail(field, "Write a sentence first.") })), { kind: kind ?? "b-p" });
    const toggle = (yes) => {
      this.ask(yes ? area : null);
      (yes ? field : open).focus();
    };
    const area = h("div.f.saying", { hidden: true }, h("label", { for: id }, hint), field, h("div.row", {}, send, button("Back", () => toggle(false), { kind: "b-q" })));
    const open = button(label, () => toggle(true), { kind });
    // A text that was kept over a reload is seen again.
    field.addEventListener("input", () => this.ask(area));
    return { open, area };
  }

  choice({ description, options }) {
    // Short ones stand side by side.
    const box = options.some(({ label }) => label.length > 24) ? "div.q-f.options.stacked" : "div.q-f.options";
    return [this.text(description), h(box, {}, options.map(({ label, value }) => button(label, () => this.decide("choice", label, () => ({ value })), { dir: "auto" })))];
  }

  form({ description, schema }) {
    const form = objectForm(schema);
    return [this.text(description), form.element, h("div.q-f", {}, button("Send the answer", () => this.decide("form", "answered", () => ({ value: form.read() })), { kind: "b-p", glyph: "check" }))];
  }

  free({ description, value }) {
    const id = `say-${++fields}`;
    const field = h("textarea.in", { id, rows: "2", dir: "auto" });
    const json = h("input", { type: "checkbox", id: `${id}-json` });
    const read = () => {
      if (!json.checked) return { value: field.value };
      try {
        return { value: JSON.parse(field.value) };
      } catch (error) {
        return fail(field, `This is no JSON: ${error.message}`);
      }
    };
    return [
      this.text(description),
      value === undefined ? null : h("div.asked", {}, tree(value, { open: true })),
      h("div.f", {}, h("label", { for: id }, "Your answer"), field),
      h("div.f.check", {}, json, h("label", { for: `${id}-json` }, "It is JSON")),
      h("div.q-f", {}, button("Send the answer", () => this.decide("free", "answered", read), { kind: "b-p", glyph: "check" })),
    ];
  }
}
