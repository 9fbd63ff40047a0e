// The waterfall's steps as a table: for readers, and for copying. Made when it is opened, so many rows at a time.

import { button, h } from "../parts/dom.js";
import { stateOf, took } from "./data.js";

/** How many rows are added at a time. */
const MANY = 2000;
const COLUMNS = ["Step", "Kind", "State", "Attempt", "Began (UTC)", "Took"];

const number = (value) => value.toLocaleString("en");

export class StepsTable {
  constructor() {
    this.spans = [];
    this.most = MANY;
    this.element = h("details.wf-table", { on: { toggle: () => this.fill() } }, h("summary", {}, "As a table"));
  }

  update(spans, now) {
    this.spans = spans;
    this.now = now;
    this.fill();
  }

  fill() {
    if (!this.element.open) return;
    const rows = this.spans.slice(0, this.most).map((span) => h("tr", {}, h("th", { scope: "row" }, span.name), [span.kind, stateOf(span.status)[1], span.attempt || "", new Date(span.begin).toISOString().slice(11, 23), took((span.end ?? this.now) - span.begin)].map((each) => h("td", {}, String(each)))));
    const head = h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name))));
    const table = h("div.wide", { tabindex: "0", role: "region", "aria-label": "Steps as a table" }, h("table", {}, head, h("tbody", {}, rows)));
    const left = this.spans.length - rows.length;
    const cut = left ? [h("div.tb", {}, h("span", {}, `The first ${number(rows.length)} of ${number(this.spans.length)} steps.`), button(`Show ${number(Math.min(left, MANY))} more`, () => this.more()))] : [];
    this.element.replaceChildren(this.element.firstChild, table, ...cut);
  }

  more() {
    const first = this.most;
    this.most += MANY;
    this.fill();
    // The button was replaced: whoever pressed it goes on at the first new step.
    const row = this.element.querySelectorAll("tbody th")[first];
    row?.setAttribute("tabindex", "-1");
    row?.focus();
  }
}
