// What people of an open thread have said and the thread does not have yet: messages on their way, and runs that wait.
//
// Messages are sent one after the other, so that each can name the run of the one before as the one that it follows. Each has its id
// as its idempotency key: what arrived although the answer was lost is not executed twice.

import { Refused, Unreachable } from "../protocol/api.js";
import { messageOf, Unsent } from "./unsent.js";
import { Withdrawn } from "./withdrawn.js";

/** Milliseconds before the first, second, … try again; the last one holds for all that follow. */
const PAUSES = [1000, 2000, 5000, 10_000];
/** What a balancer answers while no server is behind it. */
const PASSING = [502, 503, 504];

const isOpen = ({ state }) => state === "sending" || state === "unsent";

export class Outbox {
  constructor(session) {
    this.session = session;
    /**
     * Messages of this page that no state has yet; `state` is "sending", "unsent" after a try that did not reach the server,
     * "refused" with `why`, or "sent" with its `run`.
     */
    this.unsent = new Unsent(`unsent ${session.id}`, () => session.changed());
    this.sent = this.unsent.read();
    /** Resolves when all messages have their contents. */
    this.restored = Promise.all(this.sent.filter(({ apart }) => apart).map((each) => this.restore(each)));
    this.withdrawn = new Withdrawn(`withdrawn ${session.id}`, (run) => this.cancel(run, "rollback"));
    /** Runs of any client that wait: {id, message}. */
    this.queued = [];
    /** The run of the message that was sent last, and the visit to a version from which it was written. */
    this.last = this.visit = null;
    this.failures = 0;
  }

  /** Take what waits, as the API lists it. */
  take(pending) {
    this.queued = [...pending].reverse().map((run) => ({ id: run.run_id, message: lastOf(run.kwargs?.input?.messages) }));
    const waiting = new Set(this.queued.map(({ message }) => message?.id));
    this.sent = this.sent.filter((message) => !(waiting.has(message.id) && this.session.model.active));
  }

  /** Forget what the state has. Returns whether there was any. */
  settle() {
    const ids = new Set(this.session.model.root.messages.map(({ id }) => id));
    return this.leave(({ id }) => !ids.has(id));
  }

  /** Forget what waited and has no run any more: it was taken back elsewhere. What was sent since the runs were asked for has one. */
  forgetWithdrawn(branches, asked) {
    this.leave(({ id, state, arrived }) => state !== "sent" || arrived > asked || branches.ofMessage(id));
  }

  leave(stays) {
    const left = this.sent.filter(stays);
    const isLess = left.length < this.sent.length;
    this.sent = left;
    if (isLess) this.keep();
    return isLess;
  }

  keep() {
    this.unsent.write(this.sent.filter(({ state }) => state !== "sent"));
  }

  async restore(message) {
    const complete = await this.unsent.complete(message);
    this.sent = this.sent.map((each) => (each.id === message.id ? complete : each));
    this.session.changed();
  }

  changed() {
    this.keep();
    this.session.changed();
  }

  /**
   * Take a message, which is sent as soon as it can be.
   *
   * @param content A text, or blocks.
   * @param options.assistant Which assistant answers.
   * @param options.strategy What becomes of a run that is under way.
   * @param options.from The run that it follows on its branch; with `checkpoint`, where that stood.
   * @param options.instead The message in whose place it stands.
   */
  send(content, { assistant, strategy = "enqueue", context, from, checkpoint, instead } = {}) {
    const { view } = this.session.versions;
    const version = from === undefined && view ? { visit: view.visit, run: view.run, checkpoint: view.checkpoint } : undefined;
    this.sent.push(messageOf({ id: crypto.randomUUID(), order: { content, assistant, strategy, context, from, checkpoint, version }, instead, state: "sending" }));
    this.changed();
    this.deliver();
  }

  /** Send what was not sent yet. */
  deliver() {
    if (!this.isDelivering) this.delivered = this.sendAll();
    return this.delivered;
  }

  async sendAll() {
    clearTimeout(this.timer);
    this.isDelivering = true;
    await this.restored;
    let isReached = true;
    for (let message; isReached && !this.session.closed && (message = this.sent.find(isOpen)); ) {
      // While the page was away a question may have been asked, or the thread deleted.
      isReached = this.session.isStale ? await this.session.refresh() : await this.sendOne(message);
    }
    this.isDelivering = false;
    if (isReached) this.failures = 0;
    else this.wait();
  }

  wait() {
    for (const each of this.sent) if (isOpen(each)) each.state = "unsent";
    this.timer = setTimeout(() => this.session.closed || this.deliver(), PAUSES[Math.min(this.failures++, PAUSES.length - 1)]);
    this.changed();
  }

  /** Send a message. Returns whether the server has answered. */
  async sendOne(message) {
    const { id, order } = message;
    message.state = "sending";
    this.session.changed();
    try {
      const run = await this.start(id, await this.paramsOf(message));
      Object.assign(message, { state: "sent", run, arrived: performance.now() });
      [this.last, this.visit] = [run, order.version?.visit ?? null];
    } catch (error) {
      if (error instanceof Unreachable || PASSING.includes(error.status)) {
        this.session.isStale = true;
        return false;
      }
      Object.assign(message, { state: "refused", why: error.message });
    }
    this.changed();
    this.session.dispatchEvent(new Event("sent"));
    this.session.refresh();
    return true;
  }

  async start(id, params) {
    try {
      return (await this.session.command("run.start", params, { key: id })).run_id;
    } catch (error) {
      if (error.status !== 409) throw error;
      // It had arrived with other parameters, when there was another run to be followed; or it is refused.
      const found = (await this.session.listRuns()).runs.find(({ message }) => message === id);
      if (!found) throw error;
      return found.run_id;
    }
  }

  async paramsOf({ id, order: { content, assistant, strategy, context, from, checkpoint, version } }) {
    // Whether a question waits depends on the answer that is on its way.
    await this.session.answers.settled;
    // The first message that is written at a version goes on from there, and what is written after it follows that one.
    const start = from !== undefined ? { run: from, checkpoint } : version && version.visit !== this.visit ? version : { run: this.newest };
    const isAside = !start.checkpoint && this.isAsked;
    const at = isAside ? (await this.session.readState()).checkpoint?.checkpoint_id : start.checkpoint;
    const configurable = { ...(at ? { checkpoint_id: at } : {}), ...(context ?? {}) };
    return {
      assistant_id: assistant,
      input: { messages: [...(isAside ? refusals(this.session.model.root.messages) : []), { type: "human", id, content }] },
      metadata: { message_id: id, parent_run_id: start.run ?? "" },
      multitask_strategy: strategy,
      // A thread that was deleted is not created again.
      if_not_exists: "reject",
      ...(Object.keys(configurable).length ? { config: { configurable } } : {}),
    };
  }

  /** Whether a question waits, and no answer to it: a message alone would be taken for the answer, so it goes on from the state. */
  get isAsked() {
    const { model, answers } = this.session;
    return Boolean(model.questions.size && !model.active && !answers.given && !this.queued.length);
  }

  /** The thread's newest run. What was sent last is newer than all others until it is known from elsewhere. */
  get newest() {
    const { model, versions, newestRun } = this.session;
    const isKnown = !this.last || this.queued.some(({ id }) => id === this.last) || model.runs.has(this.last) || versions.branches.runs.has(this.last);
    return isKnown ? (this.queued.at(-1)?.id ?? newestRun) : this.last;
  }

  // --- what people do with a message that was not sent

  retry(message, strategy = message.order.strategy) {
    message.order.strategy = strategy;
    message.state = "sending";
    this.changed();
    this.deliver();
  }

  /** Say something else in the place of a message that was refused. */
  change(message, content, strategy) {
    const next = messageOf({ ...message, id: crypto.randomUUID(), order: { ...message.order, content }, apart: undefined });
    this.sent = this.sent.map((each) => (each === message ? next : each));
    this.retry(next, strategy);
  }

  withdraw(message) {
    // It may have arrived, or be on its way.
    if (message.state !== "refused") this.withdrawn.add(message.id);
    this.sent = this.sent.filter((each) => each !== message);
    this.changed();
  }

  // --- what people do with runs

  /** Take back what waits. */
  async remove(queued) {
    this.queued = this.queued.filter((each) => each !== queued);
    this.sent = this.sent.filter(({ id }) => id !== queued.message?.id);
    if (this.last === queued.id) this.last = null;
    this.session.changed();
    // If it has begun meanwhile, what it has done is taken back too.
    await this.cancel(queued.id, "rollback");
  }

  async cancel(runId, action = "interrupt") {
    const { api, id } = this.session;
    try {
      await api.post(`threads/${id}/runs/${runId}/cancel?wait=0&action=${action}`);
    } catch (error) {
      // It had ended meanwhile.
      if (!(error instanceof Refused && error.status === 404)) throw error;
    }
    await this.session.refresh();
  }
}

/** What became of tool calls about which a question was left open: models refuse a thread in which a call has no result. */
function refusals(messages) {
  const turn = messages.slice(messages.findLastIndex(({ role }) => role === "human") + 1);
  const done = new Set(turn.map(({ callId }) => callId));
  const calls = turn.filter(({ role }) => role === "ai").flatMap(({ blocks }) => blocks.filter(({ type, id }) => type === "call" && id && !done.has(id)));
  return calls.map(({ id, name }) => ({ type: "tool", tool_call_id: id, name, status: "error", content: "Not executed: the person wrote something else instead of a decision." }));
}

/** The last of a run's messages, which clients give as a list of messages, texts or pairs, or as one of them. */
function lastOf(messages) {
  const last = Array.isArray(messages) ? messages.at(-1) : messages;
  if (typeof last === "string") return { type: "human", content: last };
  if (Array.isArray(last)) return { type: last[0], content: last[1] };
  return last ?? null;
}
