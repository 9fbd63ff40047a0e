// How the chat page sends messages, without a browser: one after the other, each once, and none is lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./modules.mjs";

const { Api, Refused, Unreachable } = await load("protocol/api.js");
const { isHeld, keep, kept } = await load("chat/kept.js");
const large = await load("chat/large.js");
const { Outbox } = await load("chat/outbox.js");

const storage = new Map();
globalThis.sessionStorage = { getItem: (name) => storage.get(name) ?? null, setItem: (name, value) => storage.set(name, value), removeItem: (name) => storage.delete(name) };

let threads = 0;

/** A thread's session whose server is a list of replies: a run's id, or an error. */
class FakeSession extends EventTarget {
  constructor(replies = [], id = `t${++threads}`) {
    super();
    Object.assign(this, { id, replies, calls: [], listed: [], newestRun: "r0", closed: false });
    this.model = { root: { messages: [] }, runs: new Map([["r0", {}]]), questions: new Map(), active: null };
    this.answers = { given: null };
    this.versions = { view: null, branches: { runs: new Map(), ofMessage: () => undefined } };
    this.outbox = new Outbox(this);
  }

  async command(method, params, { key }) {
    this.calls.push({ key, message: params.metadata.message_id, parent: params.metadata.parent_run_id, at: params.config?.configurable.checkpoint_id, strategy: params.multitask_strategy, messages: params.input.messages });
    const answer = await this.replies.shift();
    if (answer instanceof Error) throw answer;
    return { run_id: answer };
  }

  readState = async () => ({ checkpoint: { checkpoint_id: "now" } });
  listRuns = async () => ({ runs: this.listed, older: false });
  quietly = (act) => act();
  changed() {}

  async refresh() {
    this.isStale = false;
    return true;
  }

  states = () => this.outbox.sent.map(({ state }) => state);
  parents = () => this.calls.map(({ parent }) => parent);
  async rest() {
    while (this.outbox.isDelivering) await this.outbox.delivered;
    clearTimeout(this.outbox.timer);
  }
}

test("messages that are sent quickly follow each other, and each has its key", async () => {
  let answer;
  const session = new FakeSession([new Promise((resolve) => (answer = resolve)), "r2", "r3"]);
  for (const text of ["one", "two", "three"]) session.outbox.send(text, { assistant: "a" });
  await new Promise(setImmediate);
  assert.equal(session.calls.length, 1);
  answer("r1");
  await session.rest();
  assert.deepEqual(session.parents(), ["r0", "r1", "r2"]);
  assert.deepEqual(session.calls.map(({ key }) => key), session.outbox.sent.map(({ id }) => id));
  assert.deepEqual(session.states(), ["sent", "sent", "sent"]);
});

test("the newest run is followed, also one of another client", async () => {
  const session = new FakeSession(["r1", "r2", "r4"]);
  const { outbox } = session;
  outbox.send("one");
  await session.rest();
  outbox.take([{ run_id: "other", kwargs: { input: { messages: ["x"] } } }, { run_id: "r1", kwargs: {} }]);
  outbox.send("two");
  await session.rest();
  outbox.take([]);
  session.versions.branches.runs.set("r2", {});
  session.newestRun = "r3";
  outbox.send("three");
  await session.rest();
  assert.deepEqual(session.parents(), ["r0", "other", "r3"]);
});

test("what is written at a version goes on from there, one after the other", async () => {
  const session = new FakeSession(["r8", "r9", "r10"]);
  session.versions.view = { visit: 1, run: "r5", checkpoint: "c5" };
  session.outbox.send("one");
  session.outbox.send("two");
  session.outbox.send("an edit", { from: null, checkpoint: "c0" });
  await session.rest();
  assert.deepEqual(session.calls.map(({ parent, at }) => [parent, at]), [["r5", "c5"], ["r8", undefined], ["", "c0"]]);
});

test("what did not reach the server is sent again, in its order, over another session too", async () => {
  const session = new FakeSession([new Unreachable()]);
  session.outbox.send("one");
  session.outbox.send("two");
  await session.rest();
  assert.deepEqual(session.states(), ["unsent", "unsent"]);
  session.closed = true;
  const later = new FakeSession([new Refused(503, "No server."), "r1", "r2"], session.id);
  await later.outbox.deliver();
  assert.deepEqual(later.states(), ["unsent", "unsent"]);
  assert.ok(later.outbox.timer);
  await Promise.all([later.outbox.deliver(), later.outbox.deliver()]);
  await later.rest();
  assert.deepEqual(later.calls.map(({ key }) => key), [0, 0, 1].map((place) => later.outbox.sent[place].id));
  assert.deepEqual(later.states(), ["sent", "sent"]);
  assert.deepEqual(new FakeSession([], session.id).outbox.sent, []);
});

test("a message whose answer was lost is not refused, although the run to follow is another one now", async () => {
  const session = new FakeSession([new Unreachable(), new Refused(409, "This key was used.")]);
  session.outbox.send("one");
  await session.rest();
  session.listed = [{ run_id: "r1", message: session.outbox.sent[0].id }];
  session.newestRun = "r1";
  await session.outbox.deliver();
  assert.deepEqual(session.outbox.sent.map(({ state, run }) => [state, run]), [["sent", "r1"]]);
});

test("a refused message stays, and is sent again, changed or withdrawn", async () => {
  const session = new FakeSession([new Refused(409, "Busy."), new Refused(429, "Too many."), new Refused(401, "Log in."), "r1", "r2"]);
  const { outbox } = session;
  for (const text of ["one", "two", "three"]) outbox.send(text, { strategy: "reject" });
  await session.rest();
  assert.deepEqual(outbox.sent.map(({ state, why }) => [state, why]), [["refused", "Busy."], ["refused", "Too many."], ["refused", "Log in."]]);
  assert.deepEqual(new FakeSession([], session.id).states(), ["refused", "refused", "refused"]);
  const [one, two, three] = outbox.sent;
  outbox.withdraw(one);
  outbox.retry(two, "enqueue");
  outbox.change(three, "three, changed", "enqueue");
  await session.rest();
  assert.deepEqual(session.calls.slice(3).map(({ strategy, parent }) => [strategy, parent]), [["enqueue", "r0"], ["enqueue", "r1"]]);
  assert.equal(session.calls[3].key, two.id);
  assert.notEqual(session.calls[4].key, three.id);
  assert.equal(outbox.sent[1].blocks[0].text, "three, changed");
  assert.equal(storage.get(`chat  unsent ${session.id}`), undefined);
});

const picture = (size) => [{ type: "text", text: "look" }, { type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(size)}` } }];

test("a message that is too large to be kept says so, and lasts as long as the page", async () => {
  const session = new FakeSession([new Unreachable()]);
  session.outbox.send("small");
  session.outbox.send(picture(5_300_000));
  await session.rest();
  const [small, whole] = session.outbox.sent;
  assert.deepEqual([small.unkept, whole.unkept, large.isHeld(whole.id)], [undefined, true, true]);
  // The storage has both, of the large one the text.
  const [, found] = JSON.parse(storage.get(`chat  unsent ${session.id}`));
  assert.deepEqual([found.id, found.order.content, found.apart], [whole.id, "look", true]);
  const later = new FakeSession(["r1", "r2"], session.id);
  await later.outbox.deliver();
  assert.deepEqual(later.calls.map(({ messages }) => messages[0].content), ["small", picture(5_300_000)]);
  assert.ok(!large.isHeld());
  assert.equal(storage.get(`chat  unsent ${session.id}`), undefined);
});

test("a message whose files are lost is not sent without them", async () => {
  storage.set("chat  unsent lost", JSON.stringify([{ id: "m", order: { content: "look" }, state: "unsent", apart: true }]));
  const session = new FakeSession(["r1"], "lost");
  await session.outbox.deliver();
  assert.deepEqual(session.outbox.sent.map(({ state, why, blocks }) => [state, why, blocks[0].text]), [["refused", "Its files were not kept.", "look"]]);
  assert.deepEqual(session.calls, []);
});

test("a value that the storage does not take is not replaced by the one before", (t) => {
  keep("draft t", "first");
  assert.ok(storage.has("chat  draft t") && !isHeld());
  const full = t.mock.method(sessionStorage, "setItem", () => {
    throw new Error("QuotaExceededError");
  });
  keep("draft t", "second");
  assert.ok(!storage.has("chat  draft t") && isHeld());
  assert.equal(kept("draft t"), "second");
  full.mock.restore();
  keep("draft t", "third");
  assert.ok(storage.has("chat  draft t") && !isHeld());
});

test("a message that is in the state, or waits elsewhere, is not sent again", async () => {
  const session = new FakeSession([new Unreachable(), "r2"]);
  const { outbox } = session;
  outbox.send("one");
  outbox.send("two");
  await session.rest();
  session.model.active = {};
  outbox.take([{ run_id: "r2", kwargs: { input: { messages: [{ id: outbox.sent[1].id, content: "two" }] } } }]);
  session.model.root.messages = [{ id: outbox.sent[0].id }];
  assert.ok(outbox.settle());
  await outbox.deliver();
  assert.equal(session.calls.length, 1);
});

test("a message that is written while a question waits is no answer to it, and settles the calls that wait", async () => {
  const session = new FakeSession(["r1", "r2"]);
  const call = (id) => ({ type: "call", id, name: "send_mail" });
  session.model.questions.set("q", {});
  session.model.root.messages = [{ id: "h", role: "human", blocks: [] }, { id: "a", role: "ai", blocks: [call("c1"), call("c2")] }, { id: "t", role: "tool", callId: "c1", blocks: [] }];
  session.outbox.send("something else");
  await session.rest();
  session.answers.given = { run: "r2" };
  session.outbox.send("after the answer");
  await session.rest();
  assert.deepEqual(session.calls.map(({ at, messages }) => [at, messages.map(({ type, tool_call_id: id }) => id ?? type)]), [["now", ["c2", "human"]], [undefined, ["human"]]]);
});

test("a request is given up after its time, which grows with its size, and what is no JSON is no answer", async (t) => {
  globalThis.location = { href: "http://site.example/chat/" };
  const api = new Api("/api/");
  const patience = [];
  t.mock.method(AbortSignal, "timeout", (milliseconds) => {
    patience.push(milliseconds);
    return AbortSignal.abort();
  });
  const asked = t.mock.method(globalThis, "fetch", async (url, { signal }) => signal.throwIfAborted());
  await assert.rejects(api.get("threads"), Unreachable);
  await assert.rejects(api.post("threads", { text: "x".repeat(2_000_000) }, { key: "k" }), Unreachable);
  assert.ok(patience[0] >= 10_000 && patience[0] <= 60_000 && patience[1] > patience[0] + 60_000);
  assert.equal(asked.mock.calls[1].arguments[1].headers["Idempotency-Key"], "k");
  asked.mock.mockImplementation(async () => new Response("<h1>Log in to this network</h1>"));
  await assert.rejects(api.get("threads"), Unreachable);
});
