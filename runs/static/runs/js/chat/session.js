// One thread that is open: its model, its connection, and what no event tells.

import { Refused, Unreachable } from "../protocol/api.js";
import { Connection } from "../protocol/connection.js";
import { ThreadModel } from "../protocol/thread.js";
import { Answers } from "./answers.js";
import { Outbox } from "./outbox.js";
import { Versions } from "./versions.js";

/** Milliseconds between two looks at what waits while something runs. */
const LOOK = 4000;
/** Milliseconds for which a thread that was read waits for what its last runs tell, so that it is shown once, and nothing moves. */
const TOGETHER = 300;
/** States of the history in which older versions of files are looked for. */
const HISTORY = 40;
const SHOWN = ["thread_id", "status", "metadata", "interrupts", "error", "created_at", "state_updated_at"];

const unlessMissing = (error) => (error.status === 404 ? null : Promise.reject(error));

/**
 * Dispatches "change" when something is to be shown, "connection" when there is one, "ready" when all that there was has been
 * told, "sent" with an answer to a message that was sent, "branch" with the run whose branch is looked at, and "ended" with a run that is over.
 */
export class Session extends EventTarget {
  /**
   * @param options.addresses Where the page asks for the thread's `runs`, and its `position`: from which event on it reads.
   * @param options.fresh Whether the thread is new: there is nothing to be read.
   */
  constructor(api, id, { addresses, fresh = false }) {
    super();
    this.api = api;
    this.id = id;
    this.addresses = addresses;
    this.fresh = fresh;
    this.model = new ThreadModel();
    this.outbox = new Outbox(this);
    this.answers = new Answers(this);
    this.versions = new Versions(this);
    this.thread = null;
    /** The state that was read last, if nothing has happened since: {at, values}. */
    this.read = null;
    this.phase = "loading";
    this.live = false;
    /** Whether the page was away since it has read the thread. */
    this.isStale = false;
    this.refreshes = 0;
  }

  async open() {
    try {
      const since = this.fresh ? 0 : await this.readAll();
      if (this.closed) return;
      this.since = since;
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
    clearTimeout(this.outbox.timer);
    this.connection?.close();
  }

  /** Read the thread as it is, to be shown soon; return the number after which its events are wanted. */
  async readAll() {
    const position = this.api.get(this.addresses.position);
    const [thread, state] = await Promise.all([this.find(), this.readState(), position]);
    if (!thread) throw new Refused(404, "This thread does not exist.");
    this.thread = thread;
    this.read = { at: thread.state_updated_at, values: state.values };
    this.model.setState(state.values);
    this.snapshot = this.model.root.messages;
    this.askFrom(thread);
    setTimeout(() => this.show(), TOGETHER);
    return (await position).since;
  }

  show() {
    if (this.phase === "loading") this.phase = "ready";
    this.changed();
  }

  find = async () => (await this.api.post("threads/search", { ids: [this.id], select: SHOWN }))[0];
  readState = () => this.api.get(`threads/${this.id}/state`);
  /** The thread's last runs, or those before one, and whether there are older ones: {runs, older}. */
  listRuns = (before) => this.api.get(`${this.addresses.runs}${before ? `?before=${before}` : ""}`);

  askFrom(thread) {
    const asked = Object.values(thread.interrupts ?? {}).flat();
    this.schemas = new Map(asked.map((each) => [each.id, each.response_schema]));
    const waits = thread.status === "interrupted" ? asked : [];
    this.model.setQuestions(waits.map((each) => ({ id: each.id, value: each.value, schema: each.response_schema })));
  }

  /** The thread's newest run: the events say it before the runs are listed again. */
  get newestRun() {
    return this.model.run?.id ?? this.versions.branches.newest;
  }

  /** Whether what is told happens now, and was not there before the page. */
  get isNews() {
    return this.live || this.fresh;
  }

  /** Whether the thread's last runs are being told again: until that is done, the state that was read is what holds. */
  get catchingUp() {
    return !this.isNews && ["loading", "ready"].includes(this.phase);
  }

  // --- events

  apply(event) {
    const { method, params } = event;
    if (this.live) this.read = null;
    this.model.apply(event);
    if (method === "lifecycle" && !params.namespace.length && !params.data.namespace?.length) this.turned(params.data);
    if (method === "values" && !params.namespace.length) this.settle();
    this.changed();
  }

  turned(data) {
    if (!this.isNews) return;
    if (data.event === "running") this.answers.forget();
    else this.dispatchEvent(new CustomEvent("ended", { detail: this.model.run }));
    this.refresh();
  }

  settle() {
    // What was sent from another branch has made it the newest.
    if (this.outbox.settle()) this.versions.turnTo(null);
  }

  async connected(state) {
    this.changed();
    if (state.name === "refused") clearInterval(this.clock);
    if (state.name === "refused" && state.code === 4404) this.leave();
    if (state.name === "lost") this.isStale = true;
    if (state.name !== "open") return;
    const first = !this.live;
    this.live = true;
    this.phase = "ready";
    clearInterval(this.clock);
    this.clock = setInterval(() => document.visibilityState === "visible" && this.lookAgain(), LOOK);
    await this.refresh();
    if (first && !this.closed) this.dispatchEvent(new Event("ready"));
    if (!this.closed) this.outbox.deliver();
  }

  // --- what no event tells

  /** Read again what waits, which versions there are, the questions' schemas, and a state at rest. Returns whether the server answered. */
  async refresh() {
    const asked = performance.now();
    const number = ++this.refreshes;
    // An older answer is not looked at: since it was asked for, something has happened.
    const isLast = () => !this.closed && number === this.refreshes;
    return this.quietly(async () => {
      const [runs, thread] = await Promise.all([this.listRuns().catch(unlessMissing), this.find(), this.look()]);
      if (!isLast()) return;
      if (!thread) return this.leave();
      if (runs) this.versions.take(runs);
      this.thread = thread;
      await this.outbox.withdrawn.settle(runs?.runs ?? []);
      if (!isLast()) return;
      if (!this.model.active) await this.rest(thread, asked, isLast);
      if (isLast()) this.isStale = false;
    });
  }

  /** The thread is not there any more: what is sent to it would begin another one under its name. */
  leave() {
    this.phase = "gone";
    this.close();
    this.changed();
  }

  /** Nothing runs: the state is what holds, whatever changed it. */
  async rest(thread, asked, isLast) {
    if (thread.status === "busy") return;
    this.askFrom(thread);
    this.answers.look(this.outbox.queued, asked);
    if (this.read?.at !== thread.state_updated_at) {
      const { values } = await this.readState();
      if (this.model.active || !isLast()) return;
      this.read = { at: thread.state_updated_at, values };
    }
    this.model.setState(this.read.values);
    this.model.artifacts.take(this.read.values);
    this.settle();
    this.outbox.forgetWithdrawn(this.versions.branches, asked);
  }

  /** Files may have versions before the runs that were told again. */
  readOlderFiles() {
    if (!this.since || this.olderFiles) return;
    this.olderFiles = this.quietly(async () => this.model.artifacts.extend(await this.api.post(`threads/${this.id}/history`, { limit: HISTORY })));
  }

  async lookAgain() {
    const { length } = this.outbox.queued;
    if (!this.model.active && !length) return;
    await this.look();
    // What waited was taken back, or has begun, which is told.
    if (!this.model.active && this.outbox.queued.length < length) await this.refresh();
  }

  look() {
    return this.quietly(async () => this.outbox.take(await this.api.get(`threads/${this.id}/runs?status=pending&limit=50`)));
  }

  /** Do something that is done again later, and so may fail. Returns whether it was done. */
  async quietly(act) {
    try {
      await act();
      if (!this.closed) this.changed();
      return true;
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof Refused)) throw error;
      return false;
    }
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  // --- what people do

  /** Send a command; over HTTP, which takes larger ones than a socket. With the same `key` it is done once. */
  async command(method, params, { key } = {}) {
    const answer = await this.api.post(`threads/${this.id}/commands`, { id: 1, method, params }, { key });
    if (answer.type !== "error") return answer.result;
    const [, status, message] = /^(?:(\d{3}): )?([^]*)$/.exec(answer.message);
    throw new Refused(Number(status ?? 400), message);
  }

  async stop() {
    const run = this.model.active;
    if (run) await this.outbox.cancel(run.id);
  }

  async patch(metadata) {
    this.thread = await this.api.patch(`threads/${this.id}`, { metadata });
    this.changed();
    // What is being read may be older.
    this.refresh();
  }
}
