// One step of an agent on the rail: text, thought, tool, sub-agent, and what befell its run.

import { blockElement } from "./blocks.js";
import { AgentStep, shortTask, Step, ToolStep } from "./cards.js";
import { button, h, icon, setText, state } from "./dom.js";
import { describeFile } from "./files.js";
import { Markdown } from "./markdown.js";
import { lasted, seconds } from "./words.js";

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
    setText(this.label, step.live ? "Thinking" : step.took >= 100 ? `Thought for ${seconds(step.took)}` : "Thought");
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
    setText(this.took, lasted(step.took));
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

/** What a sub-agent was told to do. */
class TaskStep extends Step {
  constructor() {
    super();
    this.text = h("p.task", { dir: "auto" });
    this.more = button("Show all", () => this.show(true), { kind: "b-q" });
    this.element.append(this.text, this.more);
  }

  update(step) {
    this.step = step;
    this.show(this.isOpen);
  }

  show(isOpen) {
    this.isOpen = isOpen;
    const { text } = this.step;
    setText(this.text, isOpen ? text : shortTask(text, 300));
    this.more.hidden = isOpen || text.length <= 300;
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
    // It is not known yet from where the next attempt goes on: nothing below it is saved.
    this.element.classList.toggle("end", Boolean(step.text));
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
