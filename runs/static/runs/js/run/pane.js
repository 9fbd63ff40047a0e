// The chosen step: its input, output, difference, messages, errors and log lines.

import { button, h, icon } from "../parts/dom.js";
import { tree } from "../parts/json.js";
import { Markdown } from "../parts/markdown.js";
import { count } from "../parts/words.js";
import { clock, stateOf, took } from "./data.js";
import { badge } from "./head.js";

export class Pane {
  /** @param options.rerun Offers to run a step again; gets the span and its input. */
  constructor(data, { reads, rerun }) {
    this.data = data;
    this.reads = reads;
    this.rerun = rerun;
    this.whyNot = "";
    this.body = h("div.pane-b", { tabindex: "0", role: "region", "aria-label": "Details of the step" }, h("p.empty-note.quiet", {}, "Choose a step in the waterfall. Arrow keys move, Enter opens."));
    this.element = h("section.mod.pane", { "aria-labelledby": "pane-title" }, h("h2", { id: "pane-title" }, "Step"), this.body);
  }

  async show(span, parent, now) {
    this.span = span;
    const length = took((span.end ?? now) - span.begin);
    const usage = span.detail.usage;
    const about = [parent && parent.kind !== "attempt" ? `In ${parent.name}` : null, span.attempt ? `attempt ${span.attempt}` : null, length, usage ? `${count(usage.total_tokens ?? 0, "token")}` : null, span.detail.cost ? `cost ${span.detail.cost}` : null].filter(Boolean).join(" · ");
    const head = h("div.ph", {}, h("h3", {}, h("span", { dir: "auto" }, span.name), badge(span.status)), h("p.num", {}, about));
    const rest = h("div", { role: "status" }, h("p.empty-note.quiet", {}, "Loading…"));
    this.body.replaceChildren(head, rest);
    if (!["node", "subgraph", "model", "tool"].includes(span.kind)) return rest.replaceChildren();
    if (!this.reads) return rest.replaceChildren(h("p.empty-note.quiet", {}, "You may not read inputs and outputs of runs."));
    const place = ["model", "tool"].includes(span.kind) ? parent : span;
    const query = { span: span.id, namespace: (place?.namespace ?? []).join("|"), node: place?.name, begin: span.begin, end: span.end ?? now + 60_000 };
    try {
      const found = await this.data.get("step", query);
      if (this.span !== span) return;
      rest.replaceChildren(...this.parts(found, span));
      // The end of a traceback says most.
      const trace = rest.querySelector(".trace");
      if (trace) trace.scrollTop = trace.scrollHeight;
    } catch (error) {
      if (this.span === span) rest.replaceChildren(h("p.problem-line", { role: "alert" }, error.message));
    }
  }

  /** Take up whether a step can be run again, and why not. */
  update({ actions }) {
    this.whyNot = actions.fork;
    if (this.again?.isConnected) this.again.replaceWith((this.again = this.offer()));
  }

  /** What is offered for a step of the graph itself. */
  offer(span = this.span, input = this.input) {
    this.input = input;
    const why = this.whyNot;
    const made = button(why ? "Run again with another input" : "Run again with another input…", () => !this.whyNot && this.rerun(span, input), { glyph: "retry", "aria-disabled": why ? "true" : null, "data-action": "rerun" });
    if (why) made.append(h("span.quiet.why-not", {}, why));
    return h("div.ph.pane-acts", {}, made);
  }

  parts(found, span) {
    const messages = messagesIn(found.output);
    const ofGraph = ["node", "subgraph"].includes(span.kind) && !(span.namespace ?? []).length;
    this.again = ofGraph && isObject(found.input) ? this.offer(span, found.input) : null;
    return [
      this.again,
      found.error ? fold("Error", errorElement(found.error), true) : null,
      found.traceback ? fold("Traceback", h("pre.code.trace", { tabindex: "0" }, ...traceLines(found.traceback)), true) : null,
      messages.length ? fold("Messages", h("div.said", {}, messages.map(messageElement)), true) : null,
      found.questions ? fold("Question", tree(found.questions), true) : null,
      found.difference ? fold("State, against the step before", differenceElement(found.difference), true) : null,
      fold("Input", value(found.input), !messages.length),
      fold("Output", value(found.output, span.status === "failed" ? "None, the step failed." : "None (yet)."), !messages.length && !found.difference),
      found.usage ? fold("Tokens", tree(found.usage)) : null,
      found.log?.length ? fold(`Log, ${count(found.log.length, "line")}`, logElement(found.log), true) : null,
    ].filter(Boolean);
  }
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function fold(title, content, open = false) {
  return h("details", { open }, h("summary", {}, icon("right", "i-s"), title), h("div.in-b", {}, content));
}

function value(given, nothing = "None.") {
  if (given == null || (typeof given === "object" && !Object.keys(given).length)) return h("p.quiet", {}, nothing);
  if (typeof given === "string") return h("pre.code.wrap", { tabindex: "0", dir: "auto" }, given);
  return tree(given);
}

function errorElement(error) {
  return typeof error === "object" ? h("p.mono.e-text", {}, `${error.error}: ${error.message}`) : h("p.mono.e-text", {}, String(error));
}

/** The lines of a traceback; the error itself stands out, and the frames of libraries step back. */
function traceLines(text) {
  let library = false;
  return text.split("\n").map((line) => {
    if (/^\s+File "/.test(line)) library = /site-packages|lib\/python/.test(line);
    const kind = /^\S/.test(line) && !/^Traceback|^During|^The above/.test(line) ? "hl" : library ? "lib" : "";
    return h(`span${kind ? `.${kind}` : ""}`, {}, `${line}\n`);
  });
}

function messagesIn(output) {
  const lists = output && typeof output === "object" && !Array.isArray(output) ? Object.values(output) : Array.isArray(output) ? output.map((each) => (Array.isArray(each) ? each[1] : null)) : [];
  return lists.flatMap((each) => (Array.isArray(each) ? each : [each])).filter((each) => each && typeof each === "object" && typeof each.type === "string" && "content" in each).slice(0, 50);
}

const AUTHORS = { human: "Person", ai: "Model", tool: "Tool", system: "System", AIMessageChunk: "Model" };

/** A message as the chat shows it: text as markdown, and its calls of tools. */
export function messageElement(message) {
  const blocks = typeof message.content === "string" ? [{ type: "text", text: message.content }] : Array.isArray(message.content) ? message.content : [];
  const text = blocks.map((block) => (typeof block === "string" ? block : block.type === "text" ? block.text : "")).join("");
  const markdown = new Markdown();
  if (text) markdown.update(text, false);
  const calls = (message.tool_calls ?? []).map((call) => h("details.card", {}, h("summary", {}, icon("tool"), h("b", {}, call.name)), h("div.card-b", {}, tree(call.args))));
  return h("article.msg", {}, h("h4", {}, AUTHORS[message.type] ?? message.type, message.name ? ` · ${message.name}` : ""), text ? markdown.element : null, calls);
}

const SIGNS = { add: "+", remove: "−", change: "±" };

export function differenceElement(changes) {
  if (!changes.length) return h("p.quiet", {}, "Nothing changed.");
  return h("dl.df", {}, changes.map((change) => h("div", {}, h("dt", {}, `${SIGNS[change.op]} ${change.key}`), (change.items ?? [change]).map((item) => [
    item.before != null ? h("dd.del", {}, h("span.vh", {}, "before: "), `− ${item.type ? `${item.type}: ` : ""}${item.before}`) : null,
    item.after != null ? h("dd.add", {}, h("span.vh", {}, "after: "), `+ ${item.type ? `${item.type}: ` : ""}${item.after}`) : null,
  ]))));
}

export function logElement(lines) {
  return h("div.tail.lines", {}, lines.map((line) => h(`div${/ERROR|CRITICAL/.test(line.level) ? ".e" : ""}`, {}, h("span", {}, clock(line.at)), h("span", {}, line.level), h("span", {}, `${line.logger}: ${line.message}`, line.fields ? h("span.quiet", {}, ` ${Object.entries(line.fields).map(([name, each]) => `${name}=${each}`).join(" ")}`) : null))));
}
