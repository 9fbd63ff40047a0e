// The picture of the run's graph: where it was, where it is, and where it failed.

import { h, setText } from "../parts/dom.js";
import { layers } from "./layering.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 132;
const HIGH = 42;
const GAP_X = 44;
const GAP_Y = 22;
const ENDS = { __start__: "Start", __end__: "End" };

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const LOOKS = { vis: "i-ok", act: "i-running", bad: "i-error", wai: "i-ask", non: "i-queued" };

export class Graph {
  constructor(data, { reveal }) {
    this.data = data;
    this.reveal = reveal;
    this.picture = h("div.g-wide", { tabindex: "0", role: "region", "aria-label": "Picture of the graph" });
    this.expand = h("input", { type: "checkbox", id: "g-xray", on: { change: () => this.load() } });
    this.note = h("p.empty-note.quiet", { hidden: true });
    this.element = h("section.mod", { "aria-labelledby": "g-title" }, h("h2", { id: "g-title" }, "Graph"), h("div.tb", {}, h("span.sp"), h("div.f.check", {}, this.expand, h("label", { for: "g-xray" }, "Show subgraphs"))), this.note, this.picture);
    this.spans = [];
  }

  async load() {
    try {
      this.drawn = await this.data.get("graph", { xray: this.expand.checked ? "1" : null });
    } catch (error) {
      this.drawn = { nodes: [], edges: [], why: error.message };
    }
    this.note.hidden = !this.drawn.why;
    setText(this.note, this.drawn.why ?? "");
    this.draw();
  }

  update(spans) {
    this.spans = spans;
    const now = JSON.stringify(this.counted());
    if (now !== this.before) {
      this.before = now;
      if (this.drawn) this.draw();
    }
  }

  /** How often each node ran, by its place; a subgraph's nodes have its name before theirs. */
  counted() {
    const found = {};
    for (const span of this.spans) {
      if (span.kind !== "node" && span.kind !== "subgraph") continue;
      const name = [...span.namespace.map((part) => part.split(":")[0]), span.name].join(":");
      const each = (found[name] ??= { runs: 0, done: 0, now: 0, failed: 0, asked: 0, last: "" });
      each.runs++;
      each.last = span.id;
      if (span.status === "done") each.done++;
      if (span.status === "running") each.now++;
      if (span.status === "failed" || span.status === "timeout") each.failed++;
      if (span.status === "asked") each.asked++;
    }
    return found;
  }

  draw() {
    const { nodes, edges } = this.drawn;
    if (!nodes.length) return this.picture.replaceChildren();
    const counted = this.counted();
    const columns = layers(nodes.map(({ id }) => id), edges);
    const tall = Math.max(...columns.map((column) => column.length));
    const width = columns.length * (WIDE + GAP_X) - GAP_X + 24;
    const height = tall * (HIGH + GAP_Y) - GAP_Y + 44;
    const at = new Map();
    columns.forEach((column, x) => column.forEach((id, y) => at.set(id, [12 + x * (WIDE + GAP_X), 22 + ((tall - column.length) * (HIGH + GAP_Y)) / 2 + y * (HIGH + GAP_Y)])));
    const lines = edges.filter(({ source, target }) => at.has(source) && at.has(target)).map((edge) => this.edge(edge, at, counted, height));
    const boxes = nodes.map(({ id }) => this.node(id, at.get(id), counted[id]));
    const told = nodes.map(({ id }) => `${ENDS[id] ?? id}: ${this.look(id, counted[id])[1]}`).join("; ");
    const svg = s("svg", { class: "g", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": told }, ...lines, ...boxes);
    this.picture.replaceChildren(svg);
  }

  look(id, each) {
    if (id in ENDS) return ["end", ENDS[id]];
    if (!each) return ["non", "not yet"];
    if (each.now) return ["act", each.runs > 1 ? `now, ${each.runs} times` : "now"];
    if (each.asked && each.asked + each.done === each.runs) return ["wai", "asked a person"];
    if (each.failed) return ["bad", each.failed < each.runs ? `failed, ${each.done} of ${each.runs}` : "failed"];
    return ["vis", `${each.done} of ${each.runs}`];
  }

  node(id, [x, y], each) {
    const [look, word] = this.look(id, each);
    if (look === "end") return s("g", { class: "non" }, s("rect", { x: x + 24, y: y + 6, width: WIDE - 48, height: HIGH - 12, rx: 15 }), s("text", { x: x + WIDE / 2, y: y + HIGH / 2 + 4, "text-anchor": "middle" }, word));
    const name = id.split(":").at(-1);
    const shown = name.length > 15 ? `${name.slice(0, 14)}…` : name;
    const group = s("g", { class: look }, s("title", {}, `${id}, ${word}`), s("rect", { x, y, width: WIDE, height: HIGH, rx: 6 }), s("use", { href: `#${LOOKS[look]}`, x: x + 9, y: y + 13, width: 16, height: 16 }), s("text", { x: x + 32, y: y + 18 }, shown), s("text", { class: "sub", x: x + 32, y: y + 33 }, word));
    if (each) group.addEventListener("click", () => this.reveal(each.last));
    return group;
  }

  edge({ source, target, conditional }, at, counted, height) {
    const [x1, y1] = at.get(source);
    const [x2, y2] = at.get(target);
    const ran = (id) => id === "__start__" || counted[id];
    const classes = [ran(source) && ran(target) ? "v" : "", conditional ? "cond" : ""].filter(Boolean).join(" ");
    const from = [x1 + WIDE - (source in ENDS ? 24 : 0), y1 + HIGH / 2];
    const to = [x2 + (target in ENDS ? 24 : 0), y2 + HIGH / 2];
    let path;
    if (source === target) path = `M${x1 + WIDE - 30} ${y1} c0 -18 24 -18 24 0`;
    else if (to[0] <= from[0]) path = `M${x1 + WIDE / 2} ${y1 + HIGH} C${x1 + WIDE / 2} ${height - 4} ${x2 + WIDE / 2} ${height - 4} ${x2 + WIDE / 2} ${y2 + HIGH}`;
    else path = `M${from[0]} ${from[1]} C${from[0] + GAP_X * 0.7} ${from[1]} ${to[0] - GAP_X * 0.7} ${to[1]} ${to[0]} ${to[1]}`;
    return s("path", { class: classes, d: path });
  }
}
