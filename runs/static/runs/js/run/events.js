// The run's log: readable lines by kind and namespace, earlier pages on request, and a tail that can be paused.

import { button, copy, h, icon, iconButton, set, setText } from "../parts/dom.js";
import { tree } from "../parts/json.js";
import { IN_FLIGHT, clock } from "./data.js";

const KINDS = { run: "Run", node: "Nodes", model: "Models", token: "Tokens", tool: "Tools", state: "States", saved: "Checkpoints", question: "Questions", custom: "Custom", log: "Log", error: "Errors" };
/** The most lines on the page; older ones are dropped from its top while it follows. */
const MOST = 2000;

export class Events {
  constructor(data, { token }) {
    this.data = data;
    this.paused = false;
    this.waiting = 0;
    this.first = this.last = "";
    this.note = h("span.t");
    this.rows = h("div.tail.ev", { role: "log", "aria-live": "off", tabindex: "0", "aria-label": "Events" });
    this.kind = h("select.in", { id: "ev-kind", on: { change: () => this.again() } }, h("option", { value: "" }, "All kinds"), Object.entries(KINDS).map(([name, word]) => h("option", { value: name }, word)));
    this.namespace = h("select.in", { id: "ev-ns", on: { change: () => this.again() } }, h("option", { value: "*" }, "All graphs"), h("option", { value: "." }, "The graph itself"));
    this.goto = h("input.in", { id: "ev-id", size: "8", placeholder: "3-17", autocomplete: "off", on: { keydown: (event) => event.key === "Enter" && (event.preventDefault(), this.from(this.goto.value.trim())) } });
    this.pause = button("Pause", () => this.toggle(), { kind: "b-q", glyph: "pause", hidden: true });
    this.earlier = button("Earlier events", () => this.back(), { kind: "b-q", hidden: true });
    this.problem = h("p.problem-line", { role: "alert", hidden: true });
    const field = (label, control) => h("div.f", {}, h("label", { for: control.id }, label), control);
    const tools = h("div.tb", {}, this.pause, h("span.sp"), field("Kind", this.kind), field("Graph", this.namespace), field("Go to id", this.goto), iconButton("copy", "Copy the lines", (event) => copy(this.text(), event.currentTarget)), h("a.b.b-q", { href: data.address("export").href, download: "" }, icon("dl"), "JSONL"));
    this.element = h("section.mod", { "aria-labelledby": "ev-title" }, h("h2", { id: "ev-title" }, "Events ", this.note), tools, this.problem, this.earlier, this.rows);
    this.namespaces = new Set();
  }

  filters() {
    return { kind: this.kind.value, namespace: this.namespace.value === "*" ? null : this.namespace.value };
  }

  query(more) {
    const { kind, namespace } = this.filters();
    return { data: "1", kind, ...(namespace === null ? {} : { namespace }), ...more };
  }

  async ask(more) {
    this.problem.hidden = true;
    try {
      return await this.data.get("events", this.query(more));
    } catch (error) {
      this.problem.hidden = false;
      setText(this.problem, error.message);
      return null;
    }
  }

  async again() {
    const found = await this.ask({});
    if (!found) return;
    this.rows.replaceChildren(...this.lines(found.lines));
    this.first = found.first;
    this.last = found.last || "0-0";
    this.earlier.hidden = !found.more;
    this.status(found.status);
    this.bottom();
  }

  /** Begin at an id, and go on from there. */
  async from(id) {
    const [epoch, seq] = id.split(/[-.]/).map(Number);
    const found = await this.ask({ after: Number.isInteger(epoch) && seq > 0 ? `${epoch}-${seq - 1}` : id });
    if (!found) return;
    this.rows.replaceChildren(...this.lines(found.lines));
    this.first = found.first || id;
    this.last = found.last || id;
    this.earlier.hidden = false;
    this.rows.scrollTop = 0;
    this.status(found.status);
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

  /** Take up what is new; while paused, only count it. */
  async tail() {
    if (!this.last) return this.again();
    const found = await this.ask({ after: this.seen ?? this.last });
    if (!found) return;
    this.status(found.status);
    if (this.paused) {
      this.waiting += found.lines.length;
      this.seen = found.last || this.seen;
      setText(this.note, `paused${this.waiting ? `, ${this.waiting} new` : ""}`);
      return;
    }
    if (found.last) this.last = found.last;
    if (!found.lines.length) return;
    const follows = this.rows.scrollHeight - this.rows.scrollTop - this.rows.clientHeight < 60;
    this.rows.append(...this.lines(found.lines));
    while (this.rows.children.length > MOST) this.rows.firstChild.remove();
    if (follows) this.bottom();
  }

  toggle() {
    this.paused = !this.paused;
    this.pause.lastChild.textContent = this.paused ? "Go on" : "Pause";
    if (this.paused) this.seen = this.last;
    else {
      this.seen = null;
      this.waiting = 0;
      this.tail();
    }
  }

  status(status) {
    const live = IN_FLIGHT.includes(status);
    this.pause.hidden = !live && !this.paused;
    if (!this.paused) setText(this.note, live ? "following" : this.last && this.last !== "0-0" ? `ended at ${this.last}` : "none");
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
