// One open thread of the chat page, and the list of all, without a browser: what is sent, and what is taken for true.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { load } from "./modules.mjs";

const storage = new Map();
globalThis.sessionStorage = { getItem: (name) => storage.get(name) ?? null, setItem: (name, value) => storage.set(name, value), removeItem: (name) => storage.delete(name) };
/** Elements that are made, and never looked at. */
const createElement = () => ({ append() {}, replaceChildren() {}, addEventListener() {}, setAttribute() {}, getAttribute: () => null });
globalThis.document = { visibilityState: "visible", createElement };

const { Refused, Unreachable } = await load("protocol/api.js");
const { Session } = await load("chat/session.js");
const { ThreadList } = await load("chat/threads.js");

const QUESTION = { id: "q", value: { action_requests: [{ name: "send_mail", args: {} }] } };
const opened = [];
afterEach(() => {
  opened.splice(0).forEach((session) => session.close());
  storage.clear();
});

/** The server's API for one thread: what it has, the commands that it got, and its answers to the next ones. */
class FakeApi {
  constructor(thread = {}) {
    this.thread = { thread_id: "t", status: "idle", interrupts: {}, metadata: {}, state_updated_at: "1", ...thread };
    Object.assign(this, { runs: [], pending: [], commands: [], answers: [], cancelled: [] });
  }

  async get(path) {
    if (this.runs instanceof Error) throw this.runs;
    if (path === "runs/") return { runs: this.runs, older: false };
    if (path.endsWith("/state")) return { values: { messages: [] }, checkpoint: { checkpoint_id: "now" } };
    return this.pending;
  }

  async post(path, body, { key } = {}) {
    if (path === "threads/search") return this.thread ? [this.thread] : [];
    if (path.endsWith("/history")) return this.history(body.metadata);
    const [, cancelled, action] = /runs\/(\w+)\/cancel.*action=(\w+)/.exec(path) ?? [];
    if (cancelled && this.refusesCancel) throw new Unreachable();
    if (cancelled) return void this.cancelled.push([cancelled, action]);
    this.commands.push({ ...body, key });
    const answer = await this.answers.shift();
    if (answer instanceof Error) throw answer;
    return answer ?? { type: "success", result: { run_id: `r${this.commands.length}` } };
  }

  methods = () => this.commands.map(({ method }) => method);
}

/** A promise, and what resolves it. */
function deferred() {
  let resolve;
  return { promise: new Promise((done) => (resolve = done)), resolve };
}

/** A session whose socket is open. */
async function open(api) {
  const session = new Session(api, "t", { addresses: { runs: "runs/", position: "position/" } });
  opened.push(session);
  session.thread = api.thread;
  await session.connected({ name: "open" });
  return session;
}

/** A session of a thread in which a question waits. */
const asked = () => new FakeApi({ status: "interrupted", interrupts: { task: [QUESTION] } });
const answer = (session) => session.answers.give([{ interrupt_id: "q", response: "yes" }]);

async function send(session, text) {
  session.outbox.send(text);
  await session.outbox.delivered;
}

/** Whether a command goes on from the state, with the calls that wait refused, and so is no answer. */
const isAside = ({ params }) => params.config?.configurable.checkpoint_id === "now";

for (const [failure, name] of [[new Unreachable(), "could not be sent"], [new Refused(429, "Too many."), "was refused"]]) {
  test(`what is written after an answer that ${name} is no answer`, async () => {
    const api = asked();
    const session = await open(api);
    api.answers = [failure];
    await assert.rejects(answer(session), failure);
    await session.refresh();
    await send(session, "something else");
    assert.deepEqual(api.methods(), ["input.respond", "run.start"]);
    assert.ok(isAside(api.commands[1]));
  });
}

test("an answer that is given again has the same key, and another one its own", async () => {
  const api = asked();
  const session = await open(api);
  api.answers = [new Unreachable(), new Unreachable()];
  for (const response of ["yes", "yes", "no"]) await session.answers.give([{ interrupt_id: "q", response }]).catch(() => {});
  const [first, again, other] = api.commands.map(({ key }) => key);
  assert.ok(first && first === again && first !== other);
});

test("what is written while an answer is on its way waits for it, and follows it", async () => {
  const api = asked();
  const session = await open(api);
  const { promise, resolve: arrive } = deferred();
  api.answers = [promise];
  const answered = answer(session);
  session.outbox.send("and then");
  await new Promise(setImmediate);
  assert.deepEqual(api.methods(), ["input.respond"]);
  api.pending = [{ run_id: "r1", kwargs: {} }];
  arrive();
  await Promise.all([answered, session.outbox.delivered]);
  assert.ok(!isAside(api.commands[1]));
  assert.equal(api.commands[1].params.metadata.parent_run_id, "r1");
});

test("a thread that was deleted while the page was away is gone, and nothing is sent to it", async () => {
  const api = new FakeApi();
  const session = await open(api);
  assert.equal(session.phase, "ready");
  api.answers = [new Unreachable()];
  await send(session, "lost");
  clearTimeout(session.outbox.timer);
  assert.equal(api.commands[0].params.if_not_exists, "reject");
  api.thread = null;
  api.runs = new Refused(404, "There is no such thread.");
  await session.connected({ name: "open" });
  await session.outbox.delivered;
  assert.deepEqual([session.phase, session.closed, api.commands.length], ["gone", true, 1]);
});

test("what is sent again is sent to the thread as it is now", async () => {
  const api = new FakeApi();
  const session = await open(api);
  api.answers = [new Unreachable()];
  await send(session, "something else");
  clearTimeout(session.outbox.timer);
  Object.assign(api.thread, { status: "interrupted", interrupts: { task: [QUESTION] } });
  await session.outbox.deliver();
  assert.ok(isAside(api.commands[1]));
});

test("nothing is sent by a page that was away before it has read the thread again", async () => {
  const api = new FakeApi();
  const session = await open(api);
  await session.connected({ name: "lost" });
  Object.assign(api.thread, { status: "interrupted", interrupts: { task: [QUESTION] } });
  api.runs = new Unreachable();
  await send(session, "something else");
  clearTimeout(session.outbox.timer);
  assert.deepEqual([api.commands, session.outbox.sent[0].state], [[], "unsent"]);
  api.runs = [];
  await session.connected({ name: "open" });
  await session.outbox.delivered;
  assert.ok(isAside(api.commands[0]));
});

test("a message that was removed is taken back if it had arrived, also after a reload", async (t) => {
  t.mock.timers.enable({ apis: ["Date"] });
  const api = new FakeApi();
  const session = await open(api);
  api.answers = [new Unreachable()];
  for (const text of ["arrived", "never arrived"]) session.outbox.send(text);
  await session.outbox.delivered;
  const [arrived, other] = session.outbox.sent;
  for (const message of [arrived, other]) session.outbox.withdraw(message);
  session.close();
  api.runs = [{ run_id: "r1", status: "running", message: arrived.id }];
  const later = await open(api);
  assert.deepEqual(later.outbox.sent, []);
  assert.deepEqual(api.cancelled, [["r1", "rollback"]]);
  // The other one may still be on its way, for a while.
  assert.deepEqual(later.outbox.withdrawn.all.map(({ id }) => id), [other.id]);
  t.mock.timers.tick(3 * 60_000);
  await later.refresh();
  assert.equal(storage.size, 0);
  assert.equal(api.cancelled.length, 1);
});

test("a message that is removed while it is on its way is taken back, once it can be", async () => {
  const api = new FakeApi();
  const session = await open(api);
  const { promise, resolve: arrive } = deferred();
  api.answers = [promise];
  session.outbox.send("a slip");
  await new Promise(setImmediate);
  const [slip] = session.outbox.sent;
  session.outbox.withdraw(slip);
  api.runs = [{ run_id: "r1", status: "running", message: slip.id }];
  api.refusesCancel = true;
  arrive();
  await session.outbox.delivered;
  await session.refresh();
  assert.deepEqual(api.cancelled, []);
  api.refusesCancel = false;
  await session.refresh();
  assert.deepEqual(api.cancelled, [["r1", "rollback"]]);
});

test("a refused message that is removed was never there", async () => {
  const api = new FakeApi();
  const session = await open(api);
  api.answers = [new Refused(429, "Too many.")];
  await send(session, "one");
  session.outbox.withdraw(session.outbox.sent[0]);
  assert.equal(storage.size, 0);
});

test("of two versions that are picked quickly the last one is shown, and what is sent is the newest", async () => {
  const api = new FakeApi();
  const said = (id) => ({ run_id: id, status: "success", parent: "", message: `m${id}` });
  api.runs = ["r3", "r2", "r1"].map(said);
  const session = await open(api);
  const shown = [];
  session.addEventListener("branch", ({ detail }) => shown.push(detail));
  const states = new Map(["r1", "r2"].map((id) => [id, deferred()]));
  api.history = ({ run_id: id }) => states.get(id).promise;
  const picks = ["r1", "r2"].map((id) => session.versions.show(id));
  for (const id of ["r2", "r1"]) states.get(id).resolve([{ values: {}, checkpoint: { checkpoint_id: `c${id}` } }]);
  await Promise.all(picks);
  assert.deepEqual([shown, session.versions.view.run], [["r2"], "r2"]);
  await send(session, "another");
  session.model.setState({ messages: [{ type: "human", id: session.outbox.sent[0].id, content: "another" }] });
  session.settle();
  assert.deepEqual([shown, session.versions.view], [["r2", null], null]);
});

/** The list without its elements. */
class PlainList extends ThreadList {
  show() {}
}

/** The list of threads, whose requests are answered when the test says so. */
function list() {
  const asked = [];
  const post = (path, body) => {
    const answer = deferred();
    asked.push({ ...answer, body });
    return answer.promise;
  };
  const threads = new PlainList(createElement(), { post }, {});
  /** Answer what was asked by a refresh, its newest threads first. */
  const answer = async (refresh, titles) => {
    const found = titles.map((title) => ({ thread_id: title.split(" ")[0], metadata: { title }, state_updated_at: title }));
    asked.splice(0, 2).forEach(({ resolve }, place) => resolve(place ? [] : found));
    await refresh;
  };
  const titles = () => threads.threads?.map(({ metadata }) => metadata.title);
  return { threads, asked, answer, titles };
}

test("the list shows what was asked for last, whichever answer comes first", async () => {
  const { threads, asked, answer, titles } = list();
  const first = threads.refresh();
  const second = threads.refresh();
  const late = asked.splice(0, 2);
  await answer(second, ["a new"]);
  asked.push(...late);
  await answer(first, ["a old"]);
  assert.deepEqual(titles(), ["a new"]);
});

test("a list that was asked for before a thread was renamed or deleted is asked for again", async () => {
  const { threads, asked, answer, titles } = list();
  await answer(threads.refresh(), ["a old", "b"]);
  for (const [change, after] of [[() => threads.note({ thread_id: "a", metadata: { title: "a new" } }), ["a new", "b"]], [() => threads.forget("b"), ["a new"]]]) {
    const before = threads.refresh();
    change();
    assert.equal(asked.length, 4);
    const again = threads.refreshing;
    answer(before, ["a old", "b"]);
    await new Promise(setImmediate);
    assert.deepEqual(titles().sort(), after);
    await answer(again, after);
    await before;
    assert.deepEqual(titles().sort(), after);
    assert.equal(threads.refreshing, null);
  }
  // Nothing is asked for again without need.
  threads.forget("c");
  assert.equal(asked.length, 0);
});

test("a search does not find a thread that was deleted meanwhile", async () => {
  const { threads, asked } = list();
  const search = threads.ask((threads.words = "word"));
  threads.forget("a");
  asked[0].resolve([{ thread_id: "a" }, { thread_id: "b" }]);
  await search;
  assert.deepEqual(threads.hits.map(({ thread_id: id }) => id), ["b"]);
});

test("a thread that is renamed keeps its name, whatever was being read", async () => {
  const api = new FakeApi();
  const session = await open(api);
  const { promise, resolve } = deferred();
  const before = { ...api.thread };
  const { get } = api;
  // Its runs come late, with the thread as it was.
  api.post = async (path) => (path === "threads/search" ? [before] : null);
  api.get = async (path) => (path === "runs/" ? promise : get.call(api, path));
  const reading = session.refresh();
  await new Promise(setImmediate);
  api.patch = async () => ({ ...before, metadata: { title: "renamed" } });
  api.get = get;
  delete api.post;
  api.thread.metadata = { title: "renamed" };
  await session.patch({ title: "renamed" });
  resolve({ runs: [], older: false });
  await reading;
  assert.equal(session.thread.metadata.title, "renamed");
});
