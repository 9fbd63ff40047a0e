// Steps that open: a call of a tool, and a sub-agent with its own steps.

import { blockElement } from "./blocks.js";
import { h, icon, reconcile, setIcon, setText, state } from "./dom.js";
import { brief, pretty, tree } from "./json.js";
import { count, lasted, shorten } from "./words.js";

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
    this.glyph = icon(glyph);
    this.summary = h("summary", {}, this.glyph, this.name, this.arg, this.state, this.took, icon("right", "i-s turn-arrow"));
    this.body = h("div.card-b");
    this.details = h("details.card", { on: { toggle: () => this.toggled() } }, this.summary, this.body);
    this.element.append(this.details);
  }

  update(step) {
    super.update(step);
    this.step = step;
    setText(this.took, lasted(step.took));
    this.showState(step.state);
    if (this.details.open) this.fill();
  }

  showState(name) {
    if (this.shown === name) return;
    this.shown = name;
    this.state.replaceChildren(state(name));
    this.details.classList.toggle("cut", name === "lost");
    if (name === "failed") this.details.open = true;
  }

  toggled() {
    if (this.details.open) this.fill();
  }
}

/** A call of a tool, with the sub-agents that it has started; if that is one, its card is the sub-agent's. */
export class ToolStep extends Card {
  /** @param stepView Makes the views of what is within. */
  constructor(stepView) {
    super("tool");
    this.stepView = stepView;
    this.args = h("div");
    this.result = h("div");
    this.agents = h("div.rows.agents");
    this.agentViews = new Map();
    this.rows = h("div.rows");
    this.rowViews = new Map();
    this.body.append(this.args, this.agents, this.rows, this.result);
  }

  update(step) {
    const { call, agents = [], known } = step;
    [this.agent, this.several] = agents.length === 1 ? [agents[0], []] : [null, agents];
    super.update(this.agent?.state === "ask" ? { ...step, state: "ask" } : step);
    setIcon(this.glyph, this.agent ? "agent" : "tool");
    setText(this.name, this.agent?.name || call.name || "Tool");
    setText(this.arg, this.agent ? wordsOf(this.agent) : call.whole ? brief(call.args) : call.argsText || (known ? brief(known.input) : ""));
    this.arg.classList.toggle("mono", !this.agent);
  }

  fill() {
    reconcile(this.agents, this.agentViews, this.several, { make: this.stepView });
    reconcile(this.rows, this.rowViews, this.agent?.steps ?? [], { make: this.stepView });
    this.fillArguments();
    this.fillResult();
  }

  /** What the call was given; a sub-agent's task says that already. */
  fillArguments() {
    const { call, known } = this.step;
    this.args.hidden = Boolean(this.agent?.task);
    const args = call.whole ? call.args : call.argsText || known?.input;
    if (this.argsShown === args) return;
    this.argsShown = args;
    const nothing = args == null || args === "" || (typeof args === "object" && !Object.keys(args).length);
    this.args.replaceChildren(h("p.label", {}, "Arguments"), nothing ? h("p.quiet", {}, "None") : call.whole ? tree(args) : h("pre.code", { tabindex: "0" }, pretty(args)));
  }

  /** What the call has brought; a sub-agent's last words mostly are that. */
  fillResult() {
    const { result, known } = this.step;
    const brought = result ? textOf(result) : known?.error ?? known?.result?.content ?? known?.result ?? known?.output ?? null;
    const told = this.agent && String(brought).trim() === this.agent.last.trim() ? null : brought;
    const others = result ? result.blocks.filter(({ type }) => type !== "text" && type !== "other") : [];
    if (this.told === told && this.others === others.length) return;
    this.told = told;
    this.others = others.length;
    const parts = [...(told ? [resultElement(told)] : []), ...others.map(blockElement)];
    this.result.replaceChildren(...(parts.length ? [h("p.label", {}, this.step.state === "failed" ? "Error" : "Result"), ...parts] : []));
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
    setText(this.arg, wordsOf(step));
  }

  fill() {
    reconcile(this.rows, this.views, this.step.steps, { make: this.stepView });
  }
}

/** A sub-agent in a few words: its last ones while it lives, and then what it was told to do. */
function wordsOf({ live, last, task }) {
  if (live && last) return shorten(last.slice(-160), 90);
  return (task ? shortTask(task, 90) : shorten(last, 90)) || "Sub-agent";
}

/** A task in one line; one that is JSON as people read it. */
export function shortTask(text, most) {
  try {
    return shorten(/^\s*[[{]/.test(text) ? brief(JSON.parse(text)) : text, most);
  } catch {
    return shorten(text, most);
  }
}
