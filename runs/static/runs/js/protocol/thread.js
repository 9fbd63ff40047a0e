// What a thread's events amount to: messages, tools, subgraphs, runs, questions. Pure: no page, no connection.
//
// The state's values are the truth about messages; what was streamed since is shown after them. When a run goes on after its
// process was lost, what the lost attempt had streamed and not saved is marked lost, keeps its place on the page, and is
// replaced by what the next attempt says in its stead.

import { fromState, StreamedMessage } from "./messages.js";

const EPOCH = 2 ** 32;
const ENDINGS = new Set(["completed", "interrupted", "failed"]);
const join = (namespace) => namespace.join("|");

/** A graph's own state and messages: the root, or a subgraph. */
class Scope {
  constructor(namespace) {
    this.namespace = namespace;
    this.key = join(namespace);
    this.values = {};
    /** Messages of the values, as pages show them. */
    this.messages = [];
    this.streamed = new Map();
    this.status = null;
    this.name = namespace.at(-1)?.split(":")[0] ?? "";
    this.callId = null;
    this.anchor = null;
    this.runId = null;
    this.startedAt = null;
    this.endedAt = null;
    this.error = null;
  }

  take(values) {
    this.values = values ?? {};
    const listed = this.values.messages;
    // A state without messages says nothing about those that were streamed.
    if (!Array.isArray(listed)) return;
    const before = this.messages.length;
    // Whoever goes on after a loss says once more which messages are withdrawn, by empty ones of their ids.
    const kept = listed.filter((each) => each && typeof each === "object" && !this.streamed.get(each.id)?.lost);
    this.messages = kept.map((each, place) => ({ ...fromState(each), key: each.id ?? `${this.key}#${place}` }));
    const ids = new Set();
    for (const message of this.messages) {
      ids.add(message.id);
      const streamed = this.streamed.get(message.id);
      if (streamed) Object.assign(message, { key: streamed.key, startedAt: streamed.startedAt, endedAt: streamed.endedAt, node: streamed.node, timed: streamed.blocks });
    }
    for (const [id, message] of this.streamed) {
      if (ids.has(id) || !message.done || message.after !== undefined) continue;
      // The step is over, and its result does not have it. A lost one stays until something has taken its place.
      if (!message.lost || this.messages.length > before) this.streamed.delete(id);
    }
  }

  /** All messages in order, streamed ones last. */
  all() {
    const ids = new Set(this.messages.map(({ id }) => id));
    const rest = [...this.streamed.values()].filter(({ id, replaced }) => !ids.has(id) && !replaced);
    const kept = Map.groupBy(rest.filter(({ after }) => after !== undefined), ({ after }) => after);
    const shown = (messages = []) => messages.map((message) => message.shown());
    return [...shown(kept.get(null)), ...this.messages.flatMap((message) => [message, ...shown(kept.get(message.key))]), ...shown(rest.filter(({ after }) => after === undefined))];
  }

  /** A run was stopped, or failed: what it has said and nothing has saved stays where it stands. */
  keep() {
    const ids = new Set(this.messages.map(({ id }) => id));
    const after = this.messages.at(-1)?.key ?? null;
    for (const message of this.streamed.values()) {
      if (!ids.has(message.id) && message.after === undefined && !message.replaced && message.blocks.some(Boolean)) Object.assign(message, { after, done: true });
    }
  }

  lose() {
    const ids = new Set(this.messages.map(({ id }) => id));
    for (const message of this.streamed.values()) {
      if (!ids.has(message.id)) Object.assign(message, { lost: true, done: true });
    }
  }

  /** The lost message that a new one, of the same node, says anew. */
  lostOf(node) {
    return [...this.streamed.values()].find((message) => message.lost && !message.replaced && message.node === node);
  }
}

export class ThreadModel {
  constructor() {
    this.root = new Scope([]);
    this.subgraphs = new Map();
    this.tools = new Map();
    this.runs = new Map();
    this.questions = new Map();
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

  setQuestions(questions) {
    this.questions = new Map(questions.map((each) => [each.id, each]));
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
        return this.scope(namespace).take(data);
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

  scope(namespace) {
    if (!namespace.length) return this.root;
    const key = join(namespace);
    if (!this.subgraphs.has(key)) this.subgraphs.set(key, Object.assign(new Scope(namespace), { runId: this.run?.id, anchor: this.anchor(), startedAt: this.time }));
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
      else for (const [key, message] of scope.streamed) if (message.lost) scope.streamed.delete(key);
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
    scope.name = data.graph_name ?? scope.name;
    if (data.event === "started") {
      scope.status = "running";
      scope.startedAt = this.time;
      scope.callId = data.cause?.tool_call_id ?? scope.callId;
    } else {
      scope.status = data.event === "running" ? "running" : data.event;
      if (ENDINGS.has(data.event)) scope.endedAt = this.time;
      scope.error = data.error ?? null;
    }
  }

  /** The subgraphs right below a namespace, in the order in which they began. */
  below(namespace = []) {
    const key = join(namespace);
    return [...this.subgraphs.values()].filter((scope) => join(scope.namespace.slice(0, -1)) === key);
  }
}
