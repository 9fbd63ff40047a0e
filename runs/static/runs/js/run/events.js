// The run's log: readable lines by kind and namespace, earlier pages on request, and a tail that can be paused.

import { button, composes, copy, h, icon, iconButton, set, setText } from "../parts/dom.js";
import { tree } from "../parts/json.js";
import { IN_FLIGHT, clock } from "./data.js";

const KINDS = { run: "Run", node: "Nodes", model: "Models", token: "Tokens", tool: "Tools", state: "States", saved: "Checkpoints", question: "Questions", custom: "Custom", log: "Log", error: "Errors" };
/** The most lines on the page; older ones are dropped from its top while it follows. */
const MOST = 2000;

export class Events {
  constructor(data) {
    this.data = data;
    this.paused = false;
    this.waiting = 0;
    this.turn = 0;
    this.first = this.last = "";
    this.note = h("span.t");
    this.rows = h("div.tail.ev", { role: "log", "aria-live": "off", tabindex: "0", "aria-label": "Events" });
    this.kind = h("select.in", { id: "ev-kind", on: { change: () => this.again() } }, h("option", { value: "" }, "All kinds"), Object.entries(KINDS).map(([name, word]) => h("option", { value: name }, word)));
    this.namespace = h("select.in", { id: "ev-ns", on: { change: () => this.again() } }, h("option", { value: "*" }, "All graphs"), h("option", { value: "." }, "The graph itself"));
    this.goto = h("input.in", { id: "ev-id", size: "8", placeholder: "3-17", autocomplete: "off", on: { keydown: (event) => event.key === "Enter" && !composes(event) && (event.preventDefault(), this.from(this.goto.value.trim())) } });
    this.pause = button("Pause", () => this.toggle(), { kind: "b-q", glyph: "pause", hidden: true });
    this.earlier = button("Earlier events", () => this.back(), { kind: "b-q", hidden: true });
    this.later = button("Later events", () => this.tail(), { kind: "b-q", hidden: true });
    this.importing = h("a.b.b-q", { hidden: true }, "Import…");
    this.problem = h("p.problem-line", { role: "alert", hidden: true });
    this.removed = h("p.t", { role: "status", hidden: true }, "The events of this run are no longer kept.");
    const field = (label, control) => h("div.f", {}, h("label", { for: control.id }, label), control);
    const tools = h("div.tb", {}, this.pause, h("span.sp"), field("Kind", this.kind), field("Graph", this.namespace), field("Go to id", this.goto), iconButton("copy", "Copy the lines", (event) => copy(this.text(), event.currentTarget)), h("a.b.b-q", { href: data.address("export").href, download: "" }, icon("dl"), "JSONL"), this.importing);
    this.element = h("section.mod", { "aria-labelledby": "ev-title" }, h("h2", { id: "ev-title" }, "Events ", this.note), tools, this.problem, this.removed, this.earlier, this.rows, this.later);
    this.namespaces = new Set();
  }

  /** Offer what the person may do beside reading. */
  update({ import: address }) {
    this.importing.hidden = !address;
    set(this.importing, "href", address);
  }

  filters() {
    return { kind: this.kind.value, namespace: this.namespace.value === "*" ? null : this.namespace.value };
  }

  query(more) {
    const { kind, namespace } = this.filters();
    return { data: "1", kind, ...(namespace === null ? {} : { namespace }), ...more };
  }

  /** The answer to a question; null if it failed, or if another one was asked meanwhile. */
  async ask(more, { anew = false } = {}) {
    if (anew) this.turn += 1;
    const { turn } = this;
    this.problem.hidden = true;
    try {
      const found = await this.data.get("events", this.query(more));
      if (turn !== this.turn) return null;
      this.removed.hidden = !found.removed;
      return found;
    } catch (error) {
      this.problem.hidden = false;
      setText(this.problem, error.message);
      return null;
    }
  }

  async again() {
    const found = await this.ask({}, { anew: true });
    if (!found) return;
    this.begin({ ...found, last: found.last || "0-0" });
    this.earlier.hidden = !found.more;
    this.bottom();
  }

  /** Begin at an id, and go on from there. */
  async from(id) {
    const [epoch, seq] = id.split(/[-.]/).map(Number);
    const found = await this.ask({ after: Number.isInteger(epoch) && seq > 0 ? `${epoch}-${seq - 1}` : id }, { anew: true });
    if (!found) return;
    this.begin({ ...found, first: found.first || id, last: found.last || id }, { later: true });
    this.earlier.hidden = false;
    this.rows.scrollTop = 0;
  }

  async back() {
    const found = await this.ask({ before: this.first });
    if (!found) return;
    const height = this.rows.scrollHeight;
    this.rows.prepend(...this.lines(found.lines));
    this.rows.scrollTop += this.rows.scrollHeight - height;
    this.first = found.first || this.first;
    this.earlier.hidden = !found.more;
  }

  /** Take up what is new, one look at a time; while paused, only count it. */
  tail() {
    return (this.looking ??= this.look().finally(() => (this.looking = null)));
  }

  async look() {
    if (!this.last) return this.again();
    const { paused } = this;
    const found = await this.ask({ after: (paused ? this.seen : null) ?? this.last });
    if (!found) return;
    // What came while the pause began or ended was asked for another purpose.
    if (paused !== this.paused) return this.look();
    if (paused) {
      this.waiting += found.lines.length;
      this.seen = found.last || this.seen;
      return this.status(found.status);
    }
    if (found.last) this.last = found.last;
    this.status(found.status, found.more);
    if (!found.lines.length) return;
    const follows = this.rows.scrollHeight - this.rows.scrollTop - this.rows.clientHeight < 60;
    this.rows.append(...this.lines(found.lines));
    while (this.rows.children.length > MOST) this.rows.firstChild.remove();
    if (follows) this.bottom();
  }

  toggle() {
    this.paused = !this.paused;
    this.pause.lastChild.textContent = this.paused ? "Go on" : "Pause";
    this.seen = this.paused ? this.last : null;
    this.waiting = 0;
    if (!this.paused) this.tail();
  }

  /** Lines of another question: what was counted for the one before is void. */
  begin({ lines, first, last, status, more }, { later = false } = {}) {
    this.rows.replaceChildren(...this.lines(lines));
    this.first = first;
    this.last = last;
    this.seen = this.paused ? last : null;
    this.waiting = 0;
    this.status(status, later && more);
  }

  /** Say how the tail stands; `more` is whether the log goes on after the last line here. */
  status(status, more = false) {
    const live = IN_FLIGHT.includes(status);
    this.pause.hidden = !live && !this.paused;
    // A run in flight is followed anyway.
    this.later.hidden = live || this.paused || !more;
    const none = !this.last || this.last === "0-0";
    if (this.paused) setText(this.note, `paused${this.waiting ? `, ${this.waiting} new` : ""}`);
    else setText(this.note, live ? "following" : more ? `read to ${this.last}` : none ? "none" : `ended at ${this.last}`);
  }

  bottom() {
    this.rows.scrollTop = this.rows.scrollHeight;
  }

  lines(lines) {
    return lines.map((line) => {
      if (line.namespace && !this.namespaces.has(line.namespace)) {
        this.namespaces.add(line.namespace);
        this.namespace.append(h("option", { value: line.namespace }, line.namespace.split("|").map((part) => part.split(":")[0]).join(" › ")));
      }
      const where = line.namespace ? `${line.namespace.split("|").map((part) => part.split(":")[0]).join(" › ")} · ` : "";
      const details = h("details", { on: { toggle: () => details.open && details.children.length === 1 && details.append(h("div.data", {}, tree(line.data ?? null))) } }, h("summary", {}, h("span", {}, line.id), h("span", {}, clock(line.at)), h("span", {}, line.kind), h("span", { dir: "auto" }, where ? h("span.quiet", {}, where) : null, line.text)));
      details.dataset.id = line.id;
      details.classList.toggle("e", line.kind === "error");
      return details;
    });
  }

  text() {
    return [...this.rows.querySelectorAll("summary")].map((row) => [...row.children].map((each) => each.textContent).join("\t")).join("\n");
  }
}
