// What a thread's events amount to: messages, tools, subgraphs, runs, questions. Pure: no page, no connection.
//
// The state's values are the truth about messages; what was streamed since is shown after them. When a run goes on after its
// process was lost, what the lost attempt had streamed and not saved is marked lost, keeps its place on the page, and is
// replaced by what the next attempt says in its stead.

import { Artifacts } from "./artifacts.js";
import { StreamedMessage } from "./messages.js";
import { join, Scope } from "./scope.js";

const EPOCH = 2 ** 32;
const ENDINGS = new Set(["completed", "interrupted", "failed"]);

export class ThreadModel {
  constructor() {
    this.root = new Scope([]);
    this.subgraphs = new Map();
    /** Subgraphs by the key of the namespace that they are right below, in the order in which they began. */
    this.children = new Map();
    /** Subgraphs right below the root, by the tool call that has started them. */
    this.called = new Map();
    this.tools = new Map();
    this.runs = new Map();
    this.questions = new Map();
    this.artifacts = new Artifacts();
    /** Which run brought a message, by the message's id, as far as it was told. */
    this.runOf = new Map();
    this.told = null;
    /** Where a process was lost and another went on: {anchor, key, at, seconds, runId}. */
    this.breaks = [];
    this.run = null;
    this.time = 0;
    this.progress = null;
  }

  get values() {
    return this.root.values;
  }

  get active() {
    return this.run?.status === "running" ? this.run : null;
  }

  /** Take a state that was read, and not streamed. */
  setState(values) {
    this.root.take(values);
  }

  /** Take the questions that wait, as they were read; of those that were told, more is known. */
  setQuestions(questions) {
    this.questions = new Map(questions.map((each) => [each.id, { ...this.questions.get(each.id), ...each }]));
  }

  apply(event) {
    const { method, seq, params } = event;
    const { namespace, data, timestamp, node } = params;
    const before = this.time;
    this.time = timestamp;
    if (this.active && !(method === "lifecycle" && !namespace.length && data.event === "running")) {
      this.notice(Math.floor(seq / EPOCH), before);
    }
    switch (method) {
      case "lifecycle":
        return namespace.length || data.namespace?.length ? this.subgraph(namespace, data) : this.lifecycle(event);
      case "values":
        return namespace.length ? this.scope(namespace).take(data) : this.takeValues(data);
      case "messages":
        return this.message(namespace, node, data);
      case "tools":
        return this.tool(namespace, data);
      case "input.requested":
        if (this.run) this.run.asked = true;
        return void this.questions.set(data.interrupt_id, { id: data.interrupt_id, value: data.payload, namespace, runId: this.run?.id });
      case "custom":
        this.progress = data.payload;
    }
  }

  takeValues(data) {
    this.root.take(data);
    const ids = new Set(this.root.messages.map(({ id }) => id));
    // Of the first values that are told it is not known what of them is new.
    if (this.told && this.run) for (const id of ids) if (!this.told.has(id)) this.runOf.set(id, this.run.id);
    // Nor which of the files are new: they stand nowhere in the log.
    this.artifacts.take(data, this.told && this.run ? { run: this.run.id, anchor: this.anchor(), at: this.time } : {});
    this.told = ids;
  }

  scope(namespace) {
    if (!namespace.length) return this.root;
    const key = join(namespace);
    if (!this.subgraphs.has(key)) {
      const scope = Object.assign(new Scope(namespace), { runId: this.run?.id, anchor: this.anchor(), startedAt: this.time });
      this.subgraphs.set(key, scope);
      listed(this.children, join(namespace.slice(0, -1))).push(scope);
    }
    return this.subgraphs.get(key);
  }

  /** The message after which something that happens now stands. */
  anchor() {
    return this.root.all().at(-1)?.key ?? null;
  }

  // --- runs

  lifecycle({ event_id: id, seq, params: { data, timestamp } }) {
    const runId = /^synth:([^:]+):/.exec(id)?.[1] ?? id;
    if (data.event === "running") {
      this.run = { id: runId, status: "running", graph: data.graph_name, startedAt: timestamp, endedAt: null, error: null, epoch: Math.floor(seq / EPOCH), lost: 0 };
      this.runs.set(runId, this.run);
      this.questions.clear();
      this.progress = null;
      return;
    }
    // A run that was cancelled, or stopped at a breakpoint, is told to be completed after it was interrupted.
    if (!ENDINGS.has(data.event) || (data.event === "completed" && data.reason)) return;
    const run = this.runs.get(runId) ?? { id: runId, startedAt: timestamp };
    Object.assign(run, { status: data.event, endedAt: timestamp, error: data.error ?? null, stopped: data.event === "interrupted" && !run.asked });
    this.runs.set(runId, run);
    if (this.run?.id === runId || !this.active) this.run = run;
    for (const scope of [this.root, ...this.subgraphs.values()]) {
      if (run.stopped || run.status === "failed") scope.keep();
      else scope.forgetLost();
    }
    run.anchor = this.anchor();
  }

  /** See that the run is executed by another attempt than before, which goes on from what was saved. */
  notice(epoch, before) {
    if (epoch <= this.run.epoch) return;
    this.run.epoch = epoch;
    this.run.lost += 1;
    this.breaks.push({ key: `break-${this.run.id}-${epoch}`, anchor: this.anchor(), at: this.time, seconds: before ? (this.time - before) / 1000 : 0, runId: this.run.id });
    for (const scope of [this.root, ...this.subgraphs.values()]) scope.lose();
    for (const [id, tool] of this.tools) if (tool.status === "running") this.tools.set(id, { ...tool, status: "lost" });
  }

  // --- what runs do

  message(namespace, node, data) {
    const scope = this.scope(namespace);
    scope.changes += 1;
    if (data.event === "message-start") {
      const message = new StreamedMessage(data, { namespace, node, time: this.time });
      const lost = scope.lostOf(message.node);
      if (lost) {
        lost.replaced = true;
        Object.assign(message, { instead: lost, key: lost.key });
      }
      scope.streamed.set(message.id, message);
      return;
    }
    const message = scope.streamed.get(data.id) ?? [...scope.streamed.values()].findLast((each) => !each.done);
    if (!message || message.lost) return;
    message.feed(data, this.time);
  }

  tool(namespace, data) {
    const id = data.tool_call_id;
    const known = this.tools.get(id) ?? { id, startedAt: this.time, output: "" };
    switch (data.event) {
      case "tool-started":
        this.tools.set(id, { ...known, name: data.tool_name, input: data.input, status: "running", startedAt: this.time, namespace });
        break;
      case "tool-output-delta":
        this.tools.set(id, { ...known, output: known.output + (data.delta ?? data.output ?? "") });
        break;
      case "tool-finished":
        this.tools.set(id, { ...known, result: data.output, status: "done", endedAt: this.time });
        break;
      case "tool-error":
        this.tools.set(id, { ...known, error: data.message, status: "failed", endedAt: this.time });
    }
  }

  subgraph(namespace, data) {
    const scope = this.scope(data.namespace?.length ? data.namespace : namespace);
    scope.changes += 1;
    scope.name = data.graph_name ?? scope.name;
    if (data.event === "started") {
      scope.status = "running";
      scope.startedAt = this.time;
      this.calledFrom(scope, data.cause?.tool_call_id ?? scope.callId);
    } else {
      scope.status = data.event === "running" ? "running" : data.event;
      if (ENDINGS.has(data.event)) scope.endedAt = this.time;
      scope.error = data.error ?? null;
    }
  }

  calledFrom(scope, callId) {
    if (!callId || scope.callId === callId) return;
    if (scope.namespace.length === 1) {
      if (scope.callId) this.called.set(scope.callId, this.calledBy(scope.callId).filter((each) => each !== scope));
      listed(this.called, callId).push(scope);
    }
    scope.callId = callId;
  }

  /** The subgraphs right below a namespace, in the order in which they began. */
  below(namespace = []) {
    return this.children.get(join(namespace)) ?? [];
  }

  /** The subgraphs right below the root that a tool call has started. */
  calledBy(callId) {
    return this.called.get(callId) ?? [];
  }
}

/** The list of a key, which is made where there is none. */
function listed(lists, key) {
  if (!lists.has(key)) lists.set(key, []);
  return lists.get(key);
}
