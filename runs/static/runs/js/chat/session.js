// One thread that is open: its model, its connection, and what people do with it.

import { Refused, Unreachable } from "../protocol/api.js";
import { Connection } from "../protocol/connection.js";
import { fromState } from "../protocol/messages.js";
import { ThreadModel } from "../protocol/thread.js";
import { Branches } from "./branches.js";

/** Milliseconds between two looks at what waits while something runs. */
const LOOK = 4000;
const SHOWN = ["thread_id", "status", "metadata", "interrupts", "error", "created_at"];

/** Dispatches "change" when something is to be shown, "ended" with a run that is over, "asked" with questions. */
export class Session extends EventTarget {
  /**
   * @param options.positionUrl Where the page asks from which event on it reads the thread.
   * @param options.fresh Whether the thread is new: there is nothing to be read.
   */
  constructor(api, id, { positionUrl, fresh = false }) {
    super();
    this.api = api;
    this.id = id;
    this.positionUrl = positionUrl;
    this.fresh = fresh;
    this.model = new ThreadModel();
    this.branches = new Branches();
    this.thread = null;
    this.queued = [];
    /** Messages of this page that no state has yet. */
    this.sent = [];
    /** Another branch than the newest, if one is looked at: {run, messages, checkpoint}. */
    this.view = null;
    this.phase = "loading";
    this.live = false;
  }

  async open() {
    try {
      const since = this.fresh ? 0 : await this.read();
      if (this.closed) return;
      this.connection = new Connection(this.api.socketUrl(this.id), { since });
      this.connection.addEventListener("event", ({ detail }) => this.apply(detail));
      this.connection.addEventListener("state", ({ detail }) => this.connected(detail));
      this.dispatchEvent(new Event("connection"));
      this.connection.open();
    } catch (error) {
      if (this.closed) return;
      this.phase = error instanceof Refused && error.status === 404 ? "gone" : "failed";
      this.problem = error;
      this.changed();
    }
  }

  close() {
    this.closed = true;
    clearInterval(this.clock);
    this.connection?.close();
  }

  /** Read the thread as it is; return the number after which its events are wanted. */
  async read() {
    const [[thread], state, { since }, runs] = await Promise.all([
      this.api.post("threads/search", { ids: [this.id], select: SHOWN }),
      this.api.get(`threads/${this.id}/state`),
      this.api.get(this.positionUrl),
      this.listRuns(),
    ]);
    if (!thread) throw new Refused(404, "This thread does not exist.");
    this.thread = thread;
    this.branches = new Branches(runs);
    this.model.setState(state.values);
    this.snapshot = this.model.root.messages;
    this.head = state.checkpoint?.checkpoint_id ?? null;
    this.askFrom(thread);
    this.phase = "ready";
    this.changed();
    return since;
  }

  askFrom(thread) {
    const asked = Object.values(thread.interrupts ?? {}).flat();
    this.schemas = new Map(asked.map((each) => [each.id, each.response_schema]));
    if (thread.status === "interrupted") this.model.setQuestions(asked.map((each) => ({ id: each.id, value: each.value, schema: each.response_schema })));
  }

  /** Whether the thread's last runs are being told again: until that is done, the state that was read is what holds. */
  get catchingUp() {
    return !this.live && !this.fresh && this.phase === "ready";
  }

  listRuns = () => this.api.get(`threads/${this.id}/runs?limit=200&select=run_id&select=status&select=metadata&select=created_at`);

  // --- events

  apply(event) {
    const { method, params } = event;
    this.model.apply(event);
    if (method === "lifecycle" && !params.namespace.length && !params.data.namespace?.length) this.turned(params.data);
    if (method === "values" && !params.namespace.length) this.settleSent();
    this.changed();
  }

  turned(data) {
    if (!this.live) return;
    if (data.event !== "running") this.dispatchEvent(new CustomEvent("ended", { detail: this.model.run }));
    this.refresh();
  }

  settleSent() {
    const ids = new Set(this.model.root.messages.map(({ id }) => id));
    const left = this.sent.filter(({ id }) => !ids.has(id));
    // What was sent from another branch has made it the newest.
    if (left.length < this.sent.length) this.view = null;
    this.sent = left;
  }

  connected(state) {
    if (state.name === "open") {
      const first = !this.live;
      this.live = true;
      this.phase = "ready";
      if (first) this.dispatchEvent(new Event("ready"));
      this.refresh();
      this.sendAgain();
      clearInterval(this.clock);
      this.clock = setInterval(() => document.visibilityState === "visible" && (this.model.active || this.queued.length) && this.look(), LOOK);
    } else if (state.name === "refused" && state.code === 4404) this.phase = "gone";
    this.changed();
  }

  /** Read again what no event tells: what waits, which versions there are, the questions' schemas, and a state at rest. */
  async refresh() {
    try {
      const [runs, [thread]] = await Promise.all([this.listRuns(), this.api.post("threads/search", { ids: [this.id], select: SHOWN }), this.look()]);
      if (this.closed) return;
      this.branches = new Branches(runs);
      if (thread) this.thread = thread;
      if (!this.model.active) await this.rest(thread);
      this.changed();
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof Refused)) throw error;
    }
  }

  /** Nothing runs: the state is what holds, whatever changed it. */
  async rest(thread) {
    if (!thread || thread.status === "busy") return;
    this.askFrom(thread);
    const { values, checkpoint } = await this.api.get(`threads/${this.id}/state`);
    if (this.model.active || this.closed) return;
    this.head = checkpoint?.checkpoint_id ?? null;
    this.model.setState(values);
    this.settleSent();
    // What waited and has no run any more was taken back elsewhere.
    this.sent = this.sent.filter(({ id, problem, trying }) => problem || trying || this.branches.ofMessage(id));
  }

  async look() {
    try {
      const pending = await this.api.get(`threads/${this.id}/runs?status=pending&limit=50`);
      this.queued = pending.reverse().map((run) => ({ id: run.run_id, message: run.kwargs?.input?.messages?.at(-1) ?? null, mine: run }));
      const waiting = new Set(this.queued.map(({ message }) => message?.id));
      this.sent = this.sent.filter((message) => !(waiting.has(message.id) && this.model.active));
      this.changed();
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof Refused)) throw error;
    }
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  // --- what people do

  /** Send a command; over HTTP, which takes larger ones than a socket. */
  async command(method, params) {
    const answer = await this.api.post(`threads/${this.id}/commands`, { id: 1, method, params });
    if (answer.type === "error") throw new Refused(400, answer.message.replace(/^\d{3}: /, ""));
    return answer.result;
  }

  /**
   * Send a message.
   *
   * @param content A text, or blocks.
   * @param options.assistant Which assistant answers.
   * @param options.strategy What becomes of a run that is under way.
   * @param options.from The run that it follows on its branch; with `checkpoint`, where that stood.
   * @param options.instead The message in whose place it stands.
   */
  async send(content, { assistant, strategy = "enqueue", context, from, checkpoint, instead } = {}) {
    const id = crypto.randomUUID();
    const parent = from !== undefined ? from : (this.view?.run ?? this.queued.at(-1)?.id ?? this.branches.newest);
    const message = { ...fromState({ type: "human", id, content }), key: id, sending: true, instead };
    const params = { assistant_id: assistant, input: { messages: [{ type: "human", id, content }] }, metadata: { message_id: id, parent_run_id: parent ?? "" }, multitask_strategy: strategy };
    const at = checkpoint ?? (from === undefined ? this.view?.checkpoint : undefined);
    const configurable = { ...(at ? { checkpoint_id: at } : {}), ...(context ?? {}) };
    if (Object.keys(configurable).length) params.config = { configurable };
    message.params = params;
    this.sent.push(message);
    this.changed();
    await this.start(message);
  }

  async start(message) {
    message.trying = true;
    try {
      await this.command("run.start", message.params);
      message.sending = false;
      message.problem = null;
    } catch (error) {
      if (error instanceof Unreachable) message.problem = "Sent when the connection is back.";
      else {
        this.sent = this.sent.filter((each) => each !== message);
        this.changed();
        throw error;
      }
    } finally {
      message.trying = false;
    }
    this.changed();
    await this.refresh();
  }

  /** What could not be sent is sent once the connection is back, unless it had arrived. */
  async sendAgain() {
    for (const message of this.sent.filter(({ problem, trying }) => problem && !trying)) {
      message.trying = true;
      try {
        const runs = await this.listRuns();
        if (runs.some((run) => run.metadata?.message_id === message.id)) Object.assign(message, { problem: null, sending: false, trying: false });
        else await this.start(message);
      } catch (error) {
        message.trying = false;
        message.problem = `Not sent: ${error.message}`;
      }
      this.changed();
    }
  }

  async stop() {
    const run = this.model.active;
    if (run) await this.cancel(run.id);
  }

  async cancel(runId, action = "interrupt") {
    try {
      await this.api.post(`threads/${this.id}/runs/${runId}/cancel?wait=0&action=${action}`);
    } catch (error) {
      // It had ended meanwhile.
      if (!(error instanceof Refused && error.status === 404)) throw error;
    }
    await this.look();
  }

  async remove(queued) {
    this.queued = this.queued.filter((each) => each !== queued);
    this.sent = this.sent.filter(({ id }) => id !== queued.message?.id);
    this.changed();
    // If it has begun meanwhile, what it has done is taken back too.
    await this.cancel(queued.id, "rollback");
  }

  async answer(responses) {
    await this.command("input.respond", { responses, metadata: { parent_run_id: this.branches.newest ?? "" } });
    await this.refresh();
  }

  async patch(metadata) {
    this.thread = await this.api.patch(`threads/${this.id}`, { metadata });
    this.changed();
  }

  // --- versions

  /** Say something else in a message's place. */
  async edit(messageId, content, options) {
    const run = this.branches.ofMessage(messageId);
    const checkpoint = (run.parent && (await this.tip(run.parent))?.checkpoint.checkpoint_id) || (await this.beginning(run.id));
    await this.send(content, { ...options, from: run.parent, checkpoint, instead: messageId });
  }

  /** The state that a run has left, or the one before it that has left any: one that was cancelled early has none. */
  async tip(runId) {
    for (let id = runId; id; id = this.branches.runs.get(id)?.parent) {
      const [state] = await this.api.post(`threads/${this.id}/history`, { limit: 1, metadata: { run_id: id } });
      if (state) return state;
    }
    return null;
  }

  /** Where a thread's first run began: the checkpoint of its input, which nothing stands before. */
  async beginning(runId) {
    const [state] = await this.api.post(`threads/${this.id}/history`, { limit: 1, metadata: { run_id: runId, source: "input" } });
    return state?.checkpoint?.checkpoint_id;
  }

  /** Look at the branch on which a run is. */
  async show(runId) {
    const leaf = this.branches.leaf(runId);
    if (leaf === this.branches.newest) this.view = null;
    else {
      const state = await this.tip(leaf);
      if (!state) throw new Refused(404, "This version is not there any more.");
      const messages = (state.values?.messages ?? []).map((each, place) => ({ ...fromState(each), key: each.id ?? `#${place}` }));
      this.view = { run: leaf, messages, checkpoint: state.checkpoint.checkpoint_id };
    }
    this.dispatchEvent(new CustomEvent("branch", { detail: this.view?.run ?? null }));
    this.changed();
  }
}
