// Steps that open: a call of a tool, and a sub-agent with its own steps.

import { blockElement } from "./blocks.js";
import { h, icon, reconcile, setText, state } from "./dom.js";
import { brief, pretty, tree } from "./json.js";
import { count, seconds, shorten } from "./words.js";

/** Most characters of a result that are shown at once. */
const MOST = 6000;

/** What all steps have: an element on the rail. */
export class Step {
  constructor() {
    this.element = h("div.step");
  }

  update(step) {
    this.element.classList.toggle("live", Boolean(step.live));
  }
}

/** A card that opens: a summary with a state and a time, and a body that is made when it is first opened. */
class Card extends Step {
  constructor(glyph) {
    super();
    this.name = h("b", { dir: "auto" });
    this.arg = h("span.arg");
    this.state = h("span.state");
    this.took = h("span.quiet.num.took");
    this.summary = h("summary", {}, icon(glyph), this.name, this.arg, this.state, this.took, icon("right", "i-s turn-arrow"));
    this.body = h("div.card-b");
    this.details = h("details.card", { on: { toggle: () => this.toggled() } }, this.summary, this.body);
    this.element.append(this.details);
  }

  update(step) {
    super.update(step);
    this.step = step;
    setText(this.took, step.took != null ? seconds(step.took) : "");
    if (this.shown !== step.state) {
      this.shown = step.state;
      this.state.replaceChildren(state(step.state));
      this.details.classList.toggle("cut", step.state === "lost");
      if (step.state === "failed") this.details.open = true;
    }
    if (this.details.open) this.fill();
  }

  toggled() {
    if (this.details.open) this.fill();
  }
}

export class ToolStep extends Card {
  /** @param stepView Makes the views of what is within. */
  constructor(stepView) {
    super("tool");
    this.stepView = stepView;
    this.args = h("div");
    this.result = h("div");
    this.agents = h("div.rows.agents");
    this.views = new Map();
    this.body.append(this.args, this.agents, this.result);
    this.arg.classList.add("mono");
  }

  update(step) {
    super.update(step);
    setText(this.name, step.call.name || "Tool");
    const { call } = step;
    setText(this.arg, call.whole ? brief(call.args) : call.argsText || (step.known ? brief(step.known.input) : ""));
    reconcile(this.agents, this.views, step.agents ?? [], { make: this.stepView });
  }

  fill() {
    const { call, result, known } = this.step;
    const args = call.whole ? call.args : call.argsText || known?.input;
    if (this.argsShown !== args) {
      this.argsShown = args;
      const nothing = args == null || args === "" || (typeof args === "object" && !Object.keys(args).length);
      this.args.replaceChildren(h("p.label", {}, "Arguments"), nothing ? h("p.quiet", {}, "None") : call.whole ? tree(args) : h("pre.code", { tabindex: "0" }, pretty(args)));
    }
    const told = result ? textOf(result) : known?.error ?? known?.result?.content ?? known?.result ?? known?.output ?? null;
    const others = result ? result.blocks.filter(({ type }) => type !== "text" && type !== "other") : [];
    if (this.told !== told || this.others !== others.length) {
      this.told = told;
      this.others = others.length;
      const parts = [...(told ? [resultElement(told)] : []), ...others.map(blockElement)];
      this.result.replaceChildren(...(parts.length ? [h("p.label", {}, this.step.state === "failed" ? "Error" : "Result"), ...parts] : []));
    }
  }
}

/** What a result says, and data that it has beside. */
function textOf(message) {
  const texts = message.blocks.map((block) => (block.type === "text" ? block.text : block.type === "other" ? pretty(block.value) : ""));
  return texts.filter(Boolean).join("\n\n");
}

function resultElement(told) {
  let value = told;
  if (typeof told === "string" && /^\s*[[{]/.test(told)) {
    try {
      value = JSON.parse(told);
    } catch {
      value = told;
    }
  }
  if (typeof value !== "string") return tree(value);
  if (value.length <= MOST) return h("pre.code.wrap", { dir: "auto", tabindex: "0" }, value);
  const short = h("pre.code.wrap", { dir: "auto", tabindex: "0" }, value.slice(0, MOST));
  const more = h("button.b.b-q", { type: "button", on: { click: () => { short.textContent = value; more.remove(); } } }, `Show all ${count(value.length, "character")}`);
  return h("div", {}, short, more);
}

export class AgentStep extends Card {
  constructor(stepView) {
    super("agent");
    this.stepView = stepView;
    this.views = new Map();
    this.rows = h("div.rows");
    this.body.append(this.rows);
  }

  update(step) {
    super.update(step);
    setText(this.name, step.name);
    const told = step.live && step.last ? shorten(step.last.slice(-160), 90) : shorten(step.last, 90);
    setText(this.arg, told || "Sub-agent");
  }

  fill() {
    reconcile(this.rows, this.views, this.step.steps, { make: this.stepView });
  }
}
