// What people of an open thread have said and the thread does not have yet: messages on their way, and runs that wait.

import { Refused, Unreachable } from "../protocol/api.js";
import { fromState } from "../protocol/messages.js";

export class Outbox {
  constructor(session) {
    this.session = session;
    /** Messages of this page that no state has yet. */
    this.sent = [];
    /** Runs of any client that wait: {id, message}. */
    this.queued = [];
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
    const left = this.sent.filter(({ id }) => !ids.has(id));
    const settled = left.length < this.sent.length;
    this.sent = left;
    return settled;
  }

  /** Forget what waited and has no run any more: it was taken back elsewhere. What was sent since the runs were asked for has one. */
  forgetWithdrawn(branches, asked) {
    this.sent = this.sent.filter(({ id, problem, trying, arrived }) => problem || trying || arrived > asked || branches.ofMessage(id));
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
    const { branches, view } = this.session.versions;
    const id = crypto.randomUUID();
    const parent = from !== undefined ? from : (view?.run ?? this.queued.at(-1)?.id ?? this.session.newestRun);
    const message = { ...fromState({ type: "human", id, content }), key: id, sending: true, instead };
    const params = { assistant_id: assistant, input: { messages: [{ type: "human", id, content }] }, metadata: { message_id: id, parent_run_id: parent ?? "" }, multitask_strategy: strategy };
    const at = checkpoint ?? (from === undefined ? view?.checkpoint : undefined);
    const configurable = { ...(at ? { checkpoint_id: at } : {}), ...(context ?? {}) };
    if (Object.keys(configurable).length) params.config = { configurable };
    message.params = params;
    this.sent.push(message);
    this.session.changed();
    await this.start(message);
  }

  async start(message) {
    message.trying = true;
    try {
      await this.session.command("run.start", message.params);
      Object.assign(message, { sending: false, problem: null, arrived: performance.now() });
    } catch (error) {
      if (error instanceof Unreachable) message.problem = "Sent when the connection is back.";
      else {
        this.sent = this.sent.filter((each) => each !== message);
        this.session.changed();
        throw error;
      }
    } finally {
      message.trying = false;
    }
    this.session.changed();
    await this.session.refresh();
  }

  /** What could not be sent is sent once the connection is back, unless it had arrived. */
  async sendAgain() {
    for (const message of this.sent.filter(({ problem, trying }) => problem && !trying)) {
      message.trying = true;
      try {
        const runs = await this.session.listRuns();
        if (runs.some((run) => run.message === message.id)) Object.assign(message, { problem: null, sending: false, trying: false, arrived: performance.now() });
        else await this.start(message);
      } catch (error) {
        message.trying = false;
        message.problem = `Not sent: ${error.message}`;
      }
      this.session.changed();
    }
  }

  /** Take back what waits. */
  async remove(queued) {
    this.queued = this.queued.filter((each) => each !== queued);
    this.sent = this.sent.filter(({ id }) => id !== queued.message?.id);
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
    await this.session.look();
  }
}

/** The last of a run's messages, which clients give as a list of messages, texts or pairs, or as one of them. */
function lastOf(messages) {
  const last = Array.isArray(messages) ? messages.at(-1) : messages;
  if (typeof last === "string") return { type: "human", content: last };
  if (Array.isArray(last)) return { type: last[0], content: last[1] };
  return last ?? null;
}
