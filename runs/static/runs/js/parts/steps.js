// One step of an agent on the rail: text, thought, tool, sub-agent, and what befell its run.

import { blockElement } from "./blocks.js";
import { AgentStep, Step, ToolStep } from "./cards.js";
import { h, icon, setText, state } from "./dom.js";
import { describeFile } from "./files.js";
import { brief, tree } from "./json.js";
import { Markdown } from "./markdown.js";
import { seconds, shorten } from "./words.js";

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
    this.element.append(h("details.fold", {}, h("summary.note", {}, icon("thought"), icon("right", "i-s turn-arrow"), this.label), this.text));
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

/** Whose part of a thread begins. */
class SpeakerStep extends Step {
  constructor() {
    super();
    this.name = h("span", { dir: "auto" });
    this.took = h("span.quiet.num");
    this.element.append(h("div.note", {}, icon("agent"), this.name, this.took));
  }

  update(step) {
    super.update(step);
    setText(this.name, step.name);
    setText(this.took, step.took == null ? "" : seconds(step.took));
  }
}

/** A file that the graph has made; who shows files hears it by the event "file". */
class FileStep extends Step {
  constructor() {
    super();
    this.name = h("b", { dir: "auto" });
    this.facts = h("span.quiet.num");
    const open = ({ currentTarget }) => currentTarget.dispatchEvent(new CustomEvent("file", { bubbles: true, detail: this.step }));
    this.element.append(h("button.artlink", { type: "button", on: { click: open } }, icon("doc"), h("span.sp", {}, this.name, this.facts), icon("right", "i-s")));
  }

  update(step) {
    super.update(step);
    this.step = step;
    setText(this.name, step.name);
    setText(this.facts, `${step.total > 1 ? `Version ${step.place + 1} · ` : ""}${describeFile(step)}`);
  }
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

const VIEWS = { text: TextStep, note: NoteStep, waiting: WaitingStep, reasoning: ReasoningStep, block: BlockStep, tool: ToolStep, agent: AgentStep, file: FileStep, speaker: SpeakerStep, task: TaskStep, break: BreakStep, failed: FailedStep, stopped: StoppedStep };

/** A step's view: {element, update(step)}. */
export function stepView(step) {
  return new (VIEWS[step.kind] ?? NoteStep)(stepView);
}
