// The run's page: reads its facts, its spans and its events, and follows them while the run is in flight.

import { h, icon, setText } from "../parts/dom.js";
import { learn } from "../protocol/clock.js";
import { Actions } from "./actions.js";
import { Compare } from "./compare.js";
import { IN_FLIGHT, RunData } from "./data.js";
import { Events } from "./events.js";
import { Graph } from "./graph.js";
import { Attempts, Head, Records } from "./head.js";
import { Pane } from "./pane.js";
import { Transcript } from "./transcript.js";
import { Waterfall } from "./waterfall.js";

/** Milliseconds between two looks at a run in flight, and between two when the server does not answer. */
const EVERY = 1000;
const LATER = 5000;
/** Looks at a run that has ended, until its thread has come to rest too. */
const AFTER = 3;

class Page {
  constructor(root, settings) {
    const token = document.querySelector("#run-token input").value;
    this.data = new RunData(settings, token);
    this.settings = settings;
    this.note = h("p.note-line", { role: "status" });
    this.actions = new Actions(this.data, { done: (outcome) => this.acted(outcome), points: () => this.points() });
    this.waterfall = new Waterfall({ choose: (span, parent) => this.pane.show(span, parent, this.waterfall.now) });
    const reveal = (id) => this.waterfall.reveal(id);
    this.head = new Head({ buttons: this.actions.element, reveal });
    this.pane = new Pane(this.data, { reads: settings.reads, rerun: (span, input) => this.actions.rerun(span, input) });
    this.attempts = new Attempts();
    this.records = new Records();
    this.graph = new Graph(this.data, { reveal });
    this.compare = new Compare(this.data);
    this.transcript = settings.reads ? new Transcript(this.data) : null;
    this.events = settings.reads ? new Events(this.data) : null;
    root.replaceChildren(hatches(), this.head.element, this.note, this.actions.questions, this.compare.element, h("div.cols", {}, this.waterfall.element, this.pane.element), h("div.stack.below", {}, this.graph.element, this.attempts.element, this.transcript?.element ?? "", this.events?.element ?? "", this.records.element));
    this.left = AFTER;
  }

  async begin() {
    await Promise.all([this.look(), this.graph.load(), this.events?.again(), this.settings.reads ? this.compare.load() : null]);
    const steps = this.waterfall.spans.filter((span) => ["node", "subgraph"].includes(span.kind));
    const first = steps.findLast((span) => span.status === "failed") ?? steps.findLast((span) => span.status === "asked") ?? steps.at(-1);
    if (first) this.waterfall.reveal(first.id, { focus: false });
    this.follow();
  }

  async look() {
    const [facts, timeline] = await Promise.all([this.data.get("facts"), this.data.get("spans")]);
    this.facts = facts;
    learn(timeline.now);
    this.waterfall.update(timeline, timeline.now);
    this.head.update(facts, timeline.spans, timeline.now);
    this.attempts.update(facts, timeline.spans, timeline.now);
    this.records.update(facts);
    this.actions.update(facts);
    this.events?.update(facts);
    this.transcript?.update(facts);
    this.pane.update(facts);
    this.graph.update(timeline.spans);
    const before = this.pane.span;
    const span = before && this.waterfall.byId.get(before.id);
    if (span && span.status !== before.status) this.pane.show(span, this.waterfall.byId.get(span.parent), timeline.now);
  }

  follow() {
    const live = IN_FLIGHT.includes(this.facts.status);
    if (live) this.left = AFTER;
    else if (this.left-- <= 0) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.again(), this.slow ? LATER : EVERY);
  }

  async again() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => this.again(), { once: true });
      return;
    }
    try {
      await Promise.all([this.look(), this.events?.tail()]);
      if (this.slow) setText(this.note, "");
      this.slow = false;
    } catch (error) {
      if (error.status === 404) return setText(this.note, "This run was removed.");
      this.slow = true;
      setText(this.note, `${error.message} Trying again in ${LATER / 1000} s.`);
    }
    this.follow();
  }

  acted(outcome) {
    setText(this.note, `Done: ${outcome}.`);
    this.left = AFTER;
    this.again();
  }

  /** The checkpoints of the run's own graph, the newest first, from its log. */
  async points() {
    const found = [];
    let after = "0-0";
    for (let turn = 0; turn < 50; turn++) {
      const page = await this.data.get("events", { kind: "saved", data: "1", after });
      found.push(...page.lines.filter((line) => !line.namespace && line.data?.id).map((line) => ({ id: line.data.id, step: line.data.step })));
      if (!page.more) break;
      after = page.last;
    }
    return [...new Map(found.map((point) => [point.id, point])).values()].reverse();
  }
}

/** The textures of waits, which bars refer to. */
function hatches() {
  const svg = icon("node");
  svg.setAttribute("class", "sprite");
  svg.replaceChildren();
  const SVG = "http://www.w3.org/2000/svg";
  for (const [id, line] of [["h-queue", "hq"], ["h-wait", "hw"]]) {
    const pattern = document.createElementNS(SVG, "pattern");
    for (const [name, value] of Object.entries({ id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" })) pattern.setAttribute(name, value);
    const stroke = document.createElementNS(SVG, "line");
    for (const [name, value] of Object.entries({ class: line, x1: 0, y1: 0, x2: 0, y2: 6 })) stroke.setAttribute(name, value);
    pattern.append(stroke);
    svg.append(pattern);
  }
  return svg;
}

const root = document.querySelector("#run-page");
const settings = document.querySelector("#run-settings");
if (root && settings) {
  const page = new Page(root, JSON.parse(settings.textContent));
  page.begin().catch((error) => root.prepend(h("p.problem-line", { role: "alert" }, `The run could not be read: ${error.message}`)));
}
