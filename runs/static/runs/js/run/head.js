// The head of a run: its status, who and where, why it failed, its phases, its attempts, and what people did with it.

import { h, icon, setText } from "../parts/dom.js";
import { count } from "../parts/words.js";
import { clock, IN_FLIGHT, short, stateOf, took } from "./data.js";

const LOOKS = { queued: ["queued", "idle"], running: ["running", "run"], ask: ["ask", "ask"], done: ["ok", "ok"], failed: ["error", "err"], timeout: ["timeout", "err"], lost: ["lost", "lost"], stopped: ["stopped", "idle"] };

/** A step that executes for longer is named in the head, in milliseconds. */
const LONG = 10_000;

/** A state as shape, colour and word. */
export function badge(name, word, { pill = true } = {}) {
  const [look, usual] = stateOf(name);
  const [glyph, colour] = LOOKS[look];
  return h(`span.st.${colour}${pill ? ".st-pill" : ""}`, {}, icon(glyph), word ?? usual);
}

export class Head {
  constructor({ buttons, reveal }) {
    this.reveal = reveal;
    this.title = h("h1");
    this.status = h("span");
    this.facts = h("ul.facts.num");
    this.why = h("div");
    this.strip = h("ol.strip", { "aria-label": "Phases of the run" });
    this.element = h("header", {}, h("div.rh", {}, this.title, this.status, h("span.sp"), buttons), this.facts, this.why, this.strip);
  }

  update(facts, spans, now) {
    this.title.replaceChildren("Run ", h("span.mono", { title: facts.id }, short(facts.id)));
    this.status.replaceChildren(badge(facts.status === "success" && spans.some((span) => span.kind === "wait" && span.end == null) ? "asked" : facts.status));
    this.facts.replaceChildren(...this.items(facts, now).filter(Boolean).map((item) => h("li", {}, item)));
    const why = this.reasons(facts, spans, now);
    const said = why.map((each) => each.textContent).join();
    // A button that is replaced each second loses its focus.
    if (said !== this.said) this.why.replaceChildren(...why);
    this.said = said;
    this.strip.replaceChildren(...phases(facts, spans, now).map(({ state, word, note, kind }) => {
      const [, colour] = LOOKS[stateOf(state)[0]];
      return h(`li.${colour}${kind ? `.${kind}` : ""}`, {}, badge(state, word, { pill: false }), h("span.num", {}, note));
    }));
  }

  items({ assistant, thread, by, attempts, times, tokens, trace, queue, priority, parent, children, cancel, status, imported, usage }, now) {
    const worker = attempts.at(-1);
    const related = (run) => h("a", { href: run.url }, short(run.id));
    return [
      imported ? h("b", {}, "A copy from a file") : null,
      ["Assistant ", h("a", { href: assistant.url }, assistant.name), assistant.version > 1 ? ` version ${assistant.version}` : null, assistant.graph === assistant.name ? null : ` (graph ${assistant.graph})`],
      thread.url ? ["Thread ", h("a", { href: thread.url, dir: "auto" }, thread.title || short(thread.id))] : "Thread removed",
      ["By ", h("b", {}, by.name), by.kind === "user" ? null : ` (${by.kind})`, by.for && by.for !== by.name ? [" for ", h("b", {}, by.for)] : null],
      times.started ? `${clock(times.started)} – ${times.finished ? clock(times.finished) : "now"}` : `Created ${clock(times.created)}`,
      worker && !worker.ended ? ["Worker ", worker.url ? h("a", { href: worker.url }, worker.process) : h("b", {}, worker.process)] : null,
      status === "pending" ? ["Queue ", h("b", {}, queue), `, priority ${priority}`] : null,
      tokens[0] + tokens[1] ? [usage.atLeast ? "At least " : null, h("b", {}, (tokens[0] + tokens[1]).toLocaleString("en")), " tokens", usage.models.length > 1 ? ` (${usage.models.map(({ name, input, output }) => `${name} ${(input + output).toLocaleString("en")}`).join(", ")})` : null] : null,
      usage.cost ? [usage.atLeast ? "Cost at least " : "Cost ", h("b", {}, usage.cost), usage.unpriced.length ? ` without ${usage.unpriced.join(", ")}, which no price is set for` : null] : null,
      trace && times.started ? h("a", { href: trace, rel: "noreferrer" }, "Trace") : null,
      cancel && IN_FLIGHT.includes(status) ? "Cancel requested" : null,
      parent.length ? ["From ", related(parent[0])] : null,
      children.length ? [children.length === 1 ? "Repeated as " : "Continued as ", children.map((run, place) => [place ? ", " : "", related(run)])] : null,
    ];
  }

  reasons({ error, failure, status }, spans, now) {
    const step = (test) => spans.findLast((each) => ["node", "subgraph", "model", "tool"].includes(each.kind) && test(each));
    const show = (span) => (span ? h("button.b", { type: "button", on: { click: () => this.reveal(span.id) } }, "Show the step") : null);
    if (!error) {
      // Of nested steps the innermost one, such as a call of a model.
      const open = status === "running" ? step((each) => each.end == null) : null;
      return open && now - open.begin > LONG ? [h("p.quiet", {}, h("b", {}, open.name), ` has been executing since ${clock(open.begin)}. `, show(open))] : [];
    }
    const last = failure?.tasks?.at(-1);
    // A lost process and a limit of time end what was executing, and no node has failed.
    const cut = step((each) => ["lost", "timeout"].includes(each.status));
    const span = (last && spans.findLast((each) => each.id.endsWith(`:${last.id}`))) || spans.findLast((each) => each.status === "failed" && each.kind !== "attempt") || cut;
    const node = failure?.node ?? span?.name;
    const what = node ? `${node} ${span === cut && cut ? "was executing" : "failed"}: ` : "Failed: ";
    return [h("div.why.err", { role: "group", "aria-label": "Why it failed" }, icon("error"), h("p", {}, h("b", {}, what), h("span.mono", {}, `${error.error}: ${error.message}`)), show(span))];
  }
}

/** The phases of a run, in order: waits in the queue, attempts, lost workers, waits for a person, and its end. */
export function phases({ status, attempts, times }, spans, now) {
  const found = [];
  for (const span of spans.filter((each) => !each.parent).sort((one, other) => one.begin - other.begin)) {
    const length = `${took((span.end ?? now) - span.begin)}${span.end == null ? ", goes on" : ""}`;
    if (span.kind === "queue") found.push({ state: "pending", word: "Queued", note: length, kind: "short" });
    if (span.kind === "attempt") {
      found.push({ state: "running", word: span.name, note: length });
      const attempt = attempts.find((each) => each.number === span.attempt);
      if (attempt?.reason === "lost") found.push({ state: "lost", word: "Worker lost", note: attempt.process });
      if (["drained", "requeued"].includes(attempt?.reason)) found.push({ state: attempt.reason, note: attempt.process });
    }
    if (span.kind === "wait") found.push({ state: "asked", word: span.end == null ? "Waits for a person" : "A person decided", note: length, kind: "wait" });
  }
  const ends = !IN_FLIGHT.includes(status);
  const wait = found.findIndex(({ state }) => state === "asked");
  if (ends && wait < 0) found.push({ state: status, note: times.finished ? clock(times.finished) : "" });
  return found;
}

const REASONS = { success: "the graph ended", error: "the graph failed", timeout: "its time was up", interrupted: "it was cancelled", lost: "its process was lost", drained: "the process shut down", requeued: "a person asked", "": "it goes on" };

/** The attempts, each with the process that ran it, why it ended, and what it repeated. */
export class Attempts {
  constructor() {
    this.body = h("tbody");
    this.element = h("section.mod", { "aria-labelledby": "attempts-title" }, h("h2", { id: "attempts-title" }, "Attempts"), h("div.wide", { tabindex: "0", role: "region", "aria-label": "Table of attempts" }, h("table", {}, h("thead", {}, h("tr", {}, ["No.", "Process", "Began", "Took", "Ended because", "Repeated"].map((name) => h("th", { scope: "col" }, name)))), this.body)));
  }

  update({ attempts }, spans, now) {
    this.element.hidden = !attempts.length;
    this.body.replaceChildren(...attempts.map((each) => {
      const mine = spans.filter((span) => span.attempt === each.number && ["node", "subgraph"].includes(span.kind));
      const repeated = mine.filter((span) => spans.some((other) => other.attempt < each.number && other.id.split(":")[1] === span.id.split(":")[1])).map((span) => span.name);
      return h("tr", {}, h("td.num", {}, String(each.number)), h("td", {}, each.url ? h("a", { href: each.url }, each.process) : each.process), h("td.num", {}, clock(each.began)), h("td.num", {}, took((each.ended ?? now) - each.began)), h("td", {}, badge(each.reason || "running", REASONS[each.reason] ?? each.reason, { pill: false })), h("td", {}, each.number === 1 ? "–" : repeated.length ? repeated.join(", ") : "nothing"));
    }));
  }
}

const KINDS = { cancel: "cancelled it", roll_back: "rolled it back", answer: "answered", retry: "retried it", fork: "forked it", replay: "replayed it", rerun: "ran a step again", requeue: "requeued it", priority: "changed its priority", reconcile: "had it settled", read: "read its payloads", export: "exported it", import: "imported it" };

/** Records whose kind says all. */
const READINGS = ["read", "export"];

/** Who did what with the run, why, and what came of it. */
export class Records {
  constructor() {
    this.list = h("ul.records");
    this.element = h("section.mod", { "aria-labelledby": "records-title" }, h("h2", { id: "records-title" }, "On record"), this.list);
  }

  update({ records }) {
    this.element.hidden = !records.length;
    this.list.replaceChildren(...records.map((each) => h("li", {}, h("span.num.quiet", {}, `${new Date(each.at).toLocaleDateString("en-CA")} ${clock(each.at)} `), h("b", {}, each.who), ` (${each.origin}) ${KINDS[each.kind] ?? each.kind}`, READINGS.includes(each.kind) ? "" : ": ", READINGS.includes(each.kind) ? null : each.url ? h("a", { href: each.url }, each.outcome) : each.outcome, each.reason ? h("q", { dir: "auto" }, each.reason) : null)));
  }
}
