// What an operator can do with the run: each asks for a reason, and says why it cannot be done.

import { button, h, set, setText } from "../parts/dom.js";
import { fail, FieldError, objectForm, schemaOfValues } from "../parts/form.js";
import { openDialog, openMenu } from "../parts/menu.js";
import { QuestionCard } from "../parts/question.js";
import { IN_FLIGHT } from "./data.js";

const LABELS = { cancel: "Cancel…", roll_back: "Cancel and roll back…", retry: "Retry as new run…", fork: "Fork…", requeue: "Requeue…", priority: "Priority…", answer: "Answer" };
const WORDS = {
  cancel: ["Cancel this run?", "It stops at once. What it has saved stays on the thread.", "Cancel the run"],
  roll_back: ["Cancel and roll back?", "The run, its events and its checkpoints are removed, and the thread is put back to what it was before. The reason stays on the thread's page. This cannot be undone.", "Cancel and roll back"],
  retry: ["Retry as a new run?", "A new run repeats this one from where it began, with the same input. What its steps did outside is done again.", "Retry as new run"],
  requeue: ["Requeue this run?", "It stops at its next step and goes back to the queue. No attempt is charged, and no finished step is repeated.", "Requeue"],
};

export class Actions {
  /** @param options.done Called after an action, to read the run again. @param options.points Returns the checkpoints, for a fork. */
  constructor(data, { done, points }) {
    this.data = data;
    this.done = done;
    this.points = points;
    this.main = h("span.run-acts");
    this.more = h("button.b.b-i", { type: "button", "aria-haspopup": "menu", "aria-label": "More actions", title: "More actions", on: { click: () => this.menu() } }, h("span", { "aria-hidden": "true" }, "⋯"));
    this.element = h("div.run-acts", {}, this.main, this.more);
    this.questions = h("div.questions");
    this.asked = "";
  }

  update(facts) {
    this.facts = facts;
    const live = IN_FLIGHT.includes(facts.status);
    const names = live ? ["cancel", "retry"] : ["retry", "fork", "cancel"];
    const state = JSON.stringify([names, facts.actions]);
    if (state !== this.state) {
      this.state = state;
      this.main.replaceChildren(...names.map((name, place) => this.button(name, live ? (name === "cancel" ? "b-d" : "") : place ? "" : "b-p")));
    }
    this.ask(facts);
  }

  button(name, kind) {
    const why = this.facts.actions[name];
    const act = () => !this.facts.actions[name] && this.open(name);
    const made = button(why ? LABELS[name].replace("…", "") : LABELS[name], act, { kind: why ? "" : kind, "aria-disabled": why ? "true" : null, "data-action": name });
    if (why) made.append(h("span.quiet.why-not", {}, why));
    return made;
  }

  menu() {
    const { actions } = this.facts;
    const entry = (name, glyph, danger = false) => ({ label: LABELS[name], hint: actions[name] || null, glyph, danger, act: () => !actions[name] && this.open(name) });
    openMenu(this.more, [entry("requeue", "retry"), entry("priority", "up1"), entry("fork", "share"), null, entry("roll_back", "trash", true), null, { label: "Compare with…", glyph: "doc", act: () => this.compare() }]);
  }

  open(name) {
    if (name === "fork") return this.fork();
    if (name === "priority") return this.priority();
    const [title, about, word] = WORDS[name];
    this.form(title, [h("p", {}, about)], word, { action: name }, () => ({}), name === "roll_back");
  }

  /** A dialog with a reason; `read` gives the rest of the body, or throws what is wrong with it. */
  form(title, content, word, body, read, danger = false) {
    openDialog(title, (close) => {
      const reason = h("textarea.in", { id: "act-reason", rows: "2", maxlength: "2000", dir: "auto" });
      const problem = h("p.problem-line", { role: "alert", hidden: true });
      const send = async (event) => {
        event.preventDefault();
        if (go.getAttribute("aria-disabled")) return;
        set(go, "aria-disabled", "true");
        problem.hidden = true;
        try {
          const found = await this.data.act({ ...body, ...read(), reason: reason.value });
          close();
          if (found.url) location.href = found.url;
          else if (body.action === "roll_back" && found.outcome.startsWith("removed")) location.href = new URL("../../", this.data.root);
          else this.done(found.outcome);
        } catch (error) {
          set(go, "aria-disabled", null);
          if (error instanceof FieldError) return;
          problem.hidden = false;
          setText(problem, error.message);
        }
      };
      const go = h(`button.b.${danger ? "b-d" : "b-p"}`, {}, word);
      return h("form", { on: { submit: send } }, content, h("div.f", {}, h("label", { for: "act-reason" }, "Reason, for the record"), reason), problem, h("div.row.end", {}, button("No, go back", close), go));
    });
  }

  priority() {
    const field = h("input.in", { id: "act-priority", type: "number", step: "1", min: "-32768", max: "32767", required: true, value: this.facts.priority });
    this.form("Change its priority", [h("p", {}, "Pending runs with a higher priority are claimed first."), h("div.f", {}, h("label", { for: "act-priority" }, "Priority"), field)], "Change the priority", { action: "priority" }, () => ({ priority: Number(field.value) }));
  }

  /** Continue from a checkpoint, as it is or with an edited state. */
  async fork(chosen = null) {
    const points = await this.points();
    const select = h("select.in", { id: "act-point", required: true }, points.map((point) => h("option", { value: point.id, selected: point.id === chosen }, `Step ${point.step}${point.next ? `, before ${point.next}` : ""}`)));
    const values = h("textarea.in.mono", { id: "act-values", rows: "5", spellcheck: "false", placeholder: '{"price": 12}' });
    const node = h("input.in", { id: "act-node", autocomplete: "off" });
    const content = points.length
      ? [h("p", {}, "A new run continues from there. The steps before are not repeated."), h("div.f", {}, h("label", { for: "act-point" }, "Continue from"), select), h("div.f", {}, h("label", { for: "act-values" }, "Change the state first, as JSON ", h("span.hint", {}, "optional; values are added by the graph's reducers")), values), h("div.f", {}, h("label", { for: "act-node" }, "As if this node had returned it ", h("span.hint", {}, "optional")), node)]
      : [h("p", {}, "The log of this run has no checkpoints.")];
    this.form("Fork this run", content, "Fork as new run", { action: "fork" }, () => {
      if (!select.value) throw new Error("There is no checkpoint to continue from.");
      const text = values.value.trim();
      let edited = null;
      if (text) {
        try {
          edited = JSON.parse(text);
        } catch (error) {
          fail(values, `The state is no JSON: ${error.message}`);
        }
      }
      return { checkpoint: { checkpoint_id: select.value }, values: edited, as_node: node.value.trim() || null };
    });
  }

  /** Run a step again, and what follows it, with another input: only what the person changed is sent. */
  rerun(span, input) {
    const fields = objectForm(schemaOfValues(input), input, { legend: "Input" });
    const before = fields.read();
    const about = h("p", {}, `A new run continues from the state in which ${span.name} began, with the values below in it. Steps beside ${span.name} and those after it are executed again; what they did outside is done again. Those before it are not repeated.`);
    this.form(`Run ${span.name} again`, [about, fields.element], "Run again as new run", { action: "rerun", task: span.id.slice(span.id.indexOf(":") + 1), name: span.name }, () => {
      const now = fields.read();
      const changed = Object.keys(input).filter((name) => JSON.stringify(now[name]) !== JSON.stringify(before[name]));
      return { input: Object.fromEntries(changed.map((name) => [name, now[name] ?? null])) };
    });
  }

  compare() {
    openDialog("Compare with another run", (close) => {
      const field = h("input.in.mono", { id: "act-with", required: true, placeholder: "Whole id of a run", list: "act-runs", autocomplete: "off" });
      const known = h("datalist", { id: "act-runs" }, [...this.facts.parent, ...this.facts.children, ...this.facts.others].map(({ id, status }) => h("option", { value: id }, status)));
      const go = (event) => {
        event.preventDefault();
        close();
        location.hash = `compare=${field.value.trim()}`;
      };
      return h("form", { on: { submit: go } }, h("div.f", {}, h("label", { for: "act-with" }, "The other run"), field, known), h("div.row.end", {}, button("No, go back", close), h("button.b.b-p", {}, "Compare")));
    });
  }

  /** The chat's form for what waits; a note stands there if the person may not answer. */
  ask({ questions, actions, times, asking }) {
    const shown = actions.answer ? [] : questions;
    const key = JSON.stringify([shown, asking]);
    if (key === this.asked) return;
    this.asked = key;
    this.card?.close();
    this.questions.replaceChildren();
    if (asking) this.questions.append(h("p.quiet", {}, "Another run of this thread asked what waits there: ", h("a", { href: asking }, "answer it there"), "."));
    if (!shown.length) return;
    const reason = h("input.in", { id: "answer-reason", maxlength: "2000", autocomplete: "off" });
    this.card = new QuestionCard(shown.map((each) => ({ ...each, namespace: [] })), {
      since: times.finished,
      send: async (responses) => {
        const answers = Object.fromEntries(responses.map(({ interrupt_id: id, response }) => [id, response]));
        const found = await this.data.act({ action: "answer", answers, reason: reason.value });
        location.href = found.url;
      },
    });
    this.questions.append(this.card.element, h("div.f.answer-reason", {}, h("label", { for: "answer-reason" }, "Reason, for the record ", h("span.hint", {}, "optional; you answer as yourself")), reason));
  }
}
