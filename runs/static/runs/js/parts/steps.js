// One step of an agent on the rail: text, thought, tool, sub-agent, and what befell its run.

import { h, icon, reconcile, setText, state } from "./dom.js";
import { brief, pretty, tree } from "./json.js";
import { Markdown } from "./markdown.js";
import { count, seconds, shorten } from "./words.js";

/** Most characters of a result that are shown at once. */
const MOST = 6000;

/** A step's view: {element, update(step)}. */
export function stepView(step) {
  return new (VIEWS[step.kind] ?? NoteStep)(step);
}

class Step {
  constructor() {
    this.element = h("div.step");
  }

  update(step) {
    this.element.classList.toggle("live", Boolean(step.live));
  }
}

class TextStep extends Step {
  constructor() {
    super();
    this.markdown = new Markdown();
    this.element.append(this.markdown.element);
  }

  update(step) {
    super.update(step);
    this.markdown.update(step.text, step.growing);
    this.markdown.element.classList.toggle("growing", Boolean(step.live));
    this.markdown.element.classList.toggle("dim", Boolean(step.lost));
  }
}

class NoteStep extends Step {
  constructor() {
    super();
    this.note = h("div.note", { dir: "auto" });
    this.element.append(this.note);
  }

  update(step) {
    super.update(step);
    setText(this.note, step.text ?? "");
  }
}

class WaitingStep extends NoteStep {
  update(step) {
    super.update(step);
    this.note.classList.toggle("pulse", true);
  }
}

class ReasoningStep extends Step {
  constructor() {
    super();
    this.label = h("span", {}, "Thought");
    this.text = h("div.thought", { dir: "auto" });
    this.element.append(h("details.fold", {}, h("summary.note", {}, icon("thought"), this.label, icon("right", "i-s turn-arrow")), this.text));
  }

  update(step) {
    super.update(step);
    setText(this.label, step.live ? "Thinking" : step.took ? `Thought for ${seconds(step.took)}` : "Thought");
    setText(this.text, step.text);
  }
}

class BlockStep extends Step {
  update({ block }) {
    if (this.block === block) return;
    this.block = block;
    this.element.replaceChildren(blockElement(block));
  }
}

/** A part of a message that is neither text nor a call. */
export function blockElement(block) {
  // Only what comes with the message itself: a remote picture would tell its host who reads this.
  if (block.type === "image" && /^data:image\/(png|jpeg|gif|webp|avif);base64,/.test(block.url)) return h("img.picture", { src: block.url, alt: "Picture of this message" });
  if (block.type === "image") return h("p.note", {}, icon("image"), block.url ? `A picture from ${hostOf(block.url)}, which is not loaded` : "A picture");
  if (block.type === "file") return h("p.filechip", {}, icon("doc"), block.name);
  return h("details.fold", {}, h("summary.note", {}, icon("doc"), block.value?.type ?? "Data"), tree(block.value ?? null));
}

function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return "elsewhere";
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

class ToolStep extends Card {
  constructor() {
    super("tool");
    this.args = h("div");
    this.result = h("div");
    this.agents = h("div");
    this.views = new Map();
    this.body.append(this.args, this.agents, this.result);
    this.arg.classList.add("mono");
  }

  update(step) {
    super.update(step);
    setText(this.name, step.call.name || "Tool");
    const { call } = step;
    setText(this.arg, call.whole ? brief(call.args) : call.argsText || (step.known ? brief(step.known.input) : ""));
    reconcile(this.agents, this.views, step.agents ?? [], { make: stepView });
  }

  fill() {
    const { call, result, known } = this.step;
    const args = call.whole ? call.args : call.argsText || known?.input;
    if (this.argsShown !== args) {
      this.argsShown = args;
      const nothing = args == null || args === "" || (typeof args === "object" && !Object.keys(args).length);
      this.args.replaceChildren(h("p.label", {}, "Arguments"), nothing ? h("p.quiet", {}, "None") : call.whole ? tree(args) : h("pre.code", { tabindex: "0" }, pretty(args)));
    }
    const told = result ? textOrBlocks(result) : known?.error ?? known?.result?.content ?? known?.result ?? known?.output ?? null;
    if (this.told !== told) {
      this.told = told;
      this.result.replaceChildren(...(told ? [h("p.label", {}, this.step.state === "failed" ? "Error" : "Result"), resultElement(told)] : []));
    }
  }
}

function textOrBlocks(message) {
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

/** A text that is JSON, in one line for people. */
function briefText(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return brief(JSON.parse(text));
  } catch {
    return text;
  }
}

class AgentStep extends Card {
  constructor() {
    super("agent");
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
    reconcile(this.rows, this.views, this.step.steps, { make: stepView });
  }
}

/** What a sub-agent was told to do. */
class TaskStep extends Step {
  constructor() {
    super();
    this.text = h("p.task", { dir: "auto" });
    this.element.append(this.text);
  }

  update({ text }) {
    setText(this.text, shorten(briefText(text), 300));
  }
}

class BreakStep extends Step {
  constructor() {
    super();
    this.element.classList.add("break");
    this.note = h("div.note");
    this.element.append(this.note);
  }

  update(step) {
    setText(this.note, step.text ?? `The server stopped; another went on after ${seconds(step.seconds * 1000)}.`);
  }
}

class FailedStep extends Step {
  constructor() {
    super();
    this.element.classList.add("fails");
    this.text = h("p");
    this.element.append(h("section.problem", {}, h("header", {}, state("failed", { word: "The run failed" })), this.text));
  }

  update({ run }) {
    setText(this.text, run.error ?? "It did not say why.");
  }
}

class StoppedStep extends NoteStep {
  update() {
    if (!this.note.firstChild) this.note.append(state("stopped"));
  }
}

const VIEWS = { text: TextStep, note: NoteStep, waiting: WaitingStep, reasoning: ReasoningStep, block: BlockStep, tool: ToolStep, agent: AgentStep, task: TaskStep, break: BreakStep, failed: FailedStep, stopped: StoppedStep };

