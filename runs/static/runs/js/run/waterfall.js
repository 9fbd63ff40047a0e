// The waterfall: one row a span, only the visible ones as elements, with zoom, folded gaps and the keyboard.

import { button, h, icon, iconButton, set, setText } from "../parts/dom.js";
import { stateOf, took } from "./data.js";
import { pieces, place, ticks } from "./scale.js";
import { StepsTable } from "./steps_table.js";

const SVG = "http://www.w3.org/2000/svg";
const ROW = 26;
const SPARE = 8;
const ICONS = { queue: "queued", attempt: "running", node: "node", subgraph: "agent", model: "model", tool: "tool", wait: "ask" };
const KEY = [["queue", "in queue"], ["att", "attempt"], ["node", "node"], ["model", "model"], ["tool", "tool"], ["wait", "waits for a person"], ["err", "failed"]];

function s(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text != null) element.textContent = text;
  return element;
}

const percent = (share) => `${(share * 100).toFixed(3)}%`;

export class Waterfall {
  /** @param options.choose Called with the chosen span. */
  constructor({ choose }) {
    this.choose = choose;
    this.spans = [];
    this.shown = [];
    this.scale = [];
    this.closed = new Set();
    this.opened = new Set();
    this.window = [0, 1];
    this.fold = true;
    this.at = 0;
    this.about = h("span.quiet.num");
    this.foldButton = button("Unfold", () => this.refold(), { kind: "b-q", hidden: true });
    this.axis = s("svg", { class: "t axis", "aria-hidden": "true" });
    this.rows = h("ol.wf", { "aria-label": "Steps of the run" });
    this.space = h("div.wf-space", {}, this.rows);
    this.scroller = h("div.wf-scroll", { tabindex: "-1", on: { scroll: () => this.draw(), keydown: (event) => this.key(event), wheel: (event) => this.wheel(event) } }, this.space);
    this.table = new StepsTable();
    const tools = h("div.tb", {}, this.about, h("span.sp"), this.foldButton, iconButton("minus", "Zoom out", () => this.zoom(1 / 1.6)), iconButton("plus", "Zoom in", () => this.zoom(1.6)), iconButton("fit", "Show all", () => this.zoom(0)));
    const key = h("div.key", { "aria-hidden": "true" }, KEY.map(([kind, word]) => {
      const svg = s("svg", {});
      svg.append(s("rect", { class: `k-${kind}`, x: ".5", y: ".5", width: "17", height: "8", rx: "2" }));
      return h("span", {}, svg, word);
    }));
    this.element = h("section.mod", { "aria-labelledby": "wf-title" }, h("h2", { id: "wf-title" }, "Waterfall"), tools, h("div.ax", {}, h("span"), this.axis, h("span")), this.scroller, key, this.table.element);
    new ResizeObserver(() => this.draw()).observe(this.scroller);
  }

  update({ spans, dropped }, now) {
    this.spans = spans;
    this.now = now;
    this.dropped = dropped;
    this.byId = new Map(spans.map((span) => [span.id, span]));
    this.children = new Map();
    for (const span of spans) this.children.set(span.parent, (this.children.get(span.parent) ?? 0) + 1);
    this.layout();
  }

  layout() {
    this.scale = pieces(this.spans, this.now, this.fold);
    const folds = this.scale.some((piece) => piece.folded);
    this.foldButton.hidden = this.fold && !folds;
    setText(this.foldButton, this.fold ? "Unfold" : "Fold idle time");
    const whole = this.scale.length ? this.scale.at(-1).to - this.scale[0].from : 0;
    setText(this.about, `${took(whole)}${folds ? ", idle time folded" : ""}${this.dropped ? `, ${this.dropped.toLocaleString("en")} more steps are not shown` : ""}`);
    const depths = new Map();
    const hidden = new Set();
    this.shown = [];
    for (const span of this.spans) {
      const depth = span.parent ? (depths.get(span.parent) ?? 0) + 1 : 0;
      depths.set(span.id, depth);
      if (span.parent && (hidden.has(span.parent) || this.isClosed(span.parent, depth - 1))) hidden.add(span.id);
      else this.shown.push({ span, depth });
    }
    this.space.style.height = `${this.shown.length * ROW}px`;
    this.at = Math.min(this.at, Math.max(0, this.shown.length - 1));
    this.drawAxis();
    this.draw();
    this.table.update(this.spans, this.now);
  }

  /** A long run begins with its outer steps alone. */
  isClosed(id, depth) {
    return this.closed.has(id) || (this.spans.length > 400 && depth >= 1 && !this.opened.has(id));
  }

  drawAxis() {
    this.axis.replaceChildren(...ticks(this.scale, this.window).map(({ at, time }) => s("text", { x: percent(at), y: "16" }, took(time))));
  }

  draw() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(this.shown.length, Math.ceil((this.scroller.scrollTop + this.scroller.clientHeight) / ROW) + SPARE);
    this.ticks = ticks(this.scale, this.window);
    const focused = this.rows.contains(document.activeElement);
    this.rows.style.top = `${first * ROW}px`;
    this.rows.replaceChildren(...this.shown.slice(first, last).map((row, number) => this.row(row, first + number)));
    if (focused) this.rows.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
  }

  row({ span, depth }, number) {
    const [glyph, word] = stateOf(span.status);
    const open = span.end == null;
    const length = took((span.end ?? this.now) - span.begin);
    const failed = span.status === "failed" || span.status === "timeout";
    const mark = failed ? "error" : span.status === "lost" ? "lost" : ICONS[span.kind] ?? glyph;
    const parent = this.children.has(span.id);
    const closed = parent && this.isClosed(span.id, depth);
    const name = [span.name, word.toLowerCase(), span.attempt && span.kind !== "attempt" ? `attempt ${span.attempt}` : null, open ? `${length} so far` : length].filter(Boolean).join(", ");
    const label = h(`button.l.d${Math.min(depth, 6)}`, {
      type: "button", "aria-label": name, tabindex: number === this.at ? "0" : "-1", "aria-expanded": parent ? String(!closed) : null, "aria-current": span.id === this.chosen ? "true" : null,
      on: { click: () => this.pick(number), focus: () => (this.at = number) },
    }, icon(mark), h("span.n", { dir: "auto" }, span.name), parent && closed ? h("span.quiet", {}, "…") : null);
    const classes = [span.kind === "attempt" ? "a" : "", failed ? "e" : "", span.id === this.chosen ? "sel" : ""].filter(Boolean);
    return h(`li${classes.length ? `.${classes.join(".")}` : ""}`, { "aria-setsize": this.shown.length, "aria-posinset": number + 1, on: { click: (event) => event.target.closest("button") || this.pick(number) } }, label, this.bar(span, failed), h("span.d.num", { "aria-hidden": "true" }, span.status === "lost" ? "lost" : open ? `${length} …` : length));
  }

  bar(span, failed) {
    const [left, right] = this.window;
    const where = (time) => (place(this.scale, time) - left) / (right - left);
    const begin = where(span.begin);
    const end = where(span.end ?? this.now);
    const svg = s("svg", { class: "t", "aria-hidden": "true" });
    for (const piece of this.scale) if (piece.folded) svg.append(s("rect", { class: "gap", x: percent((piece.at - left) / (right - left)), y: 0, width: percent(piece.width / (right - left)), height: "100%" }));
    for (const { at } of this.ticks) svg.append(s("line", { class: "gl", x1: percent(at), x2: percent(at), y1: 0, y2: "100%" }));
    if (end >= 0 && begin <= 1) {
      const kind = span.kind === "attempt" ? "att" : span.kind === "queue" || span.kind === "wait" ? span.kind : failed ? "err" : span.kind === "subgraph" ? "node" : span.kind;
      const from = Math.max(-0.01, begin);
      const to = Math.min(1.01, end);
      svg.append(s("rect", { class: `k-${kind}`, x: percent(from), y: kind === "att" ? 6 : 7, width: percent(Math.max(0.003, to - from)), height: kind === "att" ? 14 : 12, rx: 2 }));
      if (span.status === "lost") for (const shift of [-2, 2]) {
        const cut = s("svg", { x: percent(to), y: 0, overflow: "visible", width: 1, height: ROW });
        cut.append(s("line", { class: "k-lost", x1: shift - 3, x2: shift + 3, y1: 20, y2: 5 }));
        svg.append(cut);
      }
      if (span.end == null) svg.append(s("line", { class: "now", x1: percent(to), x2: percent(to), y1: 0, y2: "100%" }));
    }
    return svg;
  }

  pick(number, { focus = true } = {}) {
    this.at = number;
    const row = this.shown[number];
    if (!row) return;
    this.chosen = row.span.id;
    this.draw();
    if (focus) this.rows.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
    this.choose(row.span, this.byId.get(row.span.parent));
  }

  /** Choose a span from elsewhere, and open what it lies in. */
  reveal(id, { focus = true } = {}) {
    for (let span = this.byId.get(id); span?.parent; span = this.byId.get(span.parent)) this.open(span.parent, true);
    this.layout();
    const number = this.shown.findIndex(({ span }) => span.id === id);
    if (number < 0) return;
    this.scroller.scrollTop = Math.max(0, number * ROW - this.scroller.clientHeight / 2);
    this.draw();
    this.pick(number, { focus });
  }

  open(id, yes) {
    this.closed[yes ? "delete" : "add"](id);
    this.opened[yes ? "add" : "delete"](id);
  }

  move(to) {
    this.at = Math.max(0, Math.min(this.shown.length - 1, to));
    const top = this.at * ROW;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    if (top + ROW > this.scroller.scrollTop + this.scroller.clientHeight) this.scroller.scrollTop = top + ROW - this.scroller.clientHeight;
    this.draw();
    this.rows.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 1);
    const to = { ArrowDown: this.at + 1, ArrowUp: this.at - 1, Home: 0, End: this.shown.length - 1, PageDown: this.at + page, PageUp: this.at - page }[event.key];
    if (to !== undefined) this.move(to);
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") this.sideways(event.key === "ArrowRight", event.shiftKey);
    else if (event.key === "+" || event.key === "=") this.zoom(1.6);
    else if (event.key === "-") this.zoom(1 / 1.6);
    else if (event.key === "0") this.zoom(0);
    else return;
    event.preventDefault();
  }

  sideways(right, shift) {
    const row = this.shown[this.at];
    if (shift) return this.pan(right ? 0.2 : -0.2);
    if (row && this.children.has(row.span.id)) {
      this.open(row.span.id, right);
      this.layout();
      this.rows.querySelector("[tabindex='0']")?.focus({ preventScroll: true });
    }
  }

  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.25 : 0.8);
  }

  /** Zoom around the chosen span, else the middle; 0 shows all. */
  zoom(factor) {
    const [left, right] = this.window;
    if (!factor) this.window = [0, 1];
    else {
      const span = this.byId?.get(this.chosen);
      const middle = span ? Math.min(right, Math.max(left, (place(this.scale, span.begin) + place(this.scale, span.end ?? this.now)) / 2)) : (left + right) / 2;
      const width = Math.min(1, Math.max(1e-5, (right - left) / factor));
      const start = Math.min(1 - width, Math.max(0, middle - width / 2));
      this.window = [start, start + width];
    }
    this.drawAxis();
    this.draw();
  }

  pan(share) {
    const [left, right] = this.window;
    const width = right - left;
    const start = Math.min(1 - width, Math.max(0, left + share * width));
    this.window = [start, start + width];
    this.drawAxis();
    this.draw();
  }

  refold() {
    this.fold = !this.fold;
    this.window = [0, 1];
    this.layout();
  }
}
