// Two runs side by side: their steps in order, and what differs in the steps' outputs and in the last states.

import { h } from "../parts/dom.js";
import { short, took } from "./data.js";
import { badge } from "./head.js";
import { differenceElement } from "./pane.js";

export class Compare {
  constructor(data) {
    this.data = data;
    this.body = h("div.cmp");
    this.element = h("section.mod", { hidden: true, "aria-labelledby": "cmp-title" }, h("h2", { id: "cmp-title" }, "Compared"), this.body);
    addEventListener("hashchange", () => this.load());
  }

  async load() {
    const other = new URLSearchParams(location.hash.slice(1)).get("compare");
    this.element.hidden = !other;
    if (!other) return;
    this.body.replaceChildren(h("p.empty-note.quiet", { role: "status" }, "Loading…"));
    try {
      this.body.replaceChildren(...this.show(await this.data.get("compare", { with: other })));
    } catch (error) {
      this.body.replaceChildren(h("p.problem-line", { role: "alert" }, error.message));
    }
    this.element.scrollIntoView({ block: "nearest" });
  }

  show({ runs, spans, outputs, difference }) {
    const steps = spans.map((each) => counted(each));
    const names = [...new Set([...steps[0].keys(), ...steps[1].keys()])];
    const cell = (step) => (step ? [badge(step.status, null, { pill: false }), ` ${took(step.took)}${step.runs > 1 ? `, ${step.runs} times` : ""}`] : h("span.quiet", {}, "did not run"));
    const head = h("tr", {}, h("th", { scope: "col" }, "Step"), runs.map((run, place) => h("th", { scope: "col" }, place ? "The other, " : "This run, ", h("span.mono", {}, short(run.id)), " ", badge(run.status, null, { pill: false }))));
    const rows = names.slice(0, 500).map((name) => h("tr", {}, h("th", { scope: "row" }, name), steps.map((each) => h("td.num", {}, cell(each.get(name))))));
    const errors = runs.map((run) => (run.error ? `${run.error.error}: ${run.error.message}` : "none"));
    const failed = errors.some((each) => each !== "none") ? h("tr", {}, h("th", { scope: "row" }, "Error"), errors.map((each) => h("td", {}, each))) : null;
    return [h("div.wide", { tabindex: "0", role: "region", "aria-label": "Steps of both runs" }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows, failed))), h("h3", {}, "Outputs of steps that both ran: − this run, + the other"), h("div.in-b", {}, outputs.length ? outputs.flatMap(outputElement) : h("p.quiet", {}, "They gave the same.")), h("h3", {}, "State at the end: − this run, + the other"), h("div.in-b", {}, differenceElement(difference))];
  }
}

/** What differs in the last outputs of one step. */
function outputElement({ step, difference }) {
  return [h("h4", {}, step), differenceElement(difference)];
}

function counted(spans) {
  const found = new Map();
  for (const span of spans) {
    if (["attempt", "queue", "wait"].includes(span.kind)) continue;
    const step = found.get(span.name) ?? { runs: 0, took: 0, status: span.status };
    step.runs++;
    step.took += (span.end ?? span.begin) - span.begin;
    step.status = span.status;
    found.set(span.name, step);
  }
  return found;
}
