// client.runs, every method.
import { GRAPH, assert, client, collect, eventually, everythingIsCalled, last, refusal, say, test } from "./harness.mjs";

const { runs, threads } = client;
const SLOW = say("march 200 0.05");
const fresh = async () => (await threads.create({ graphId: GRAPH })).thread_id;
const status = async (thread, run) => (await runs.get(thread, run)).status;
const running = (thread, run) => eventually(async () => (await status(thread, run)) === "running");

test("a run is created, joined and found", async () => {
  const thread = await fresh();
  let created;
  const run = await runs.create(thread, GRAPH, {
    input: say("talk 3"),
    metadata: { from: "js" },
    onRunCreated: (made) => (created = made),
  });
  assert.deepEqual(created, { run_id: run.run_id, thread_id: thread });
  assert.equal(last(await runs.join(thread, run.run_id)), "w0 w1 w2 ");
  const found = await runs.get(thread, run.run_id);
  assert.equal(found.status, "success");
  assert.equal(found.metadata.from, "js");
  assert.equal(last(await runs.join(thread, run.run_id, { cancelOnDisconnect: true })), "w0 w1 w2 ");
});

test("runs are listed", async () => {
  const thread = await fresh();
  const made = [];
  for (const order of ["talk 1", "fail", "talk 2"]) {
    made.unshift(await runs.create(thread, GRAPH, { input: say(order) }));
    await runs.join(thread, made[0].run_id);
  }
  const ids = (listed) => listed.map(({ run_id }) => run_id);
  assert.deepEqual(ids(await runs.list(thread)), ids(made));
  assert.deepEqual(ids(await runs.list(thread, { limit: 1, offset: 1 })), [made[1].run_id]);
  assert.deepEqual(ids(await runs.list(thread, { status: "error" })), [made[1].run_id]);
  assert.deepEqual(await runs.list(thread, { limit: 1, select: ["run_id", "status"] }), [
    { run_id: made[0].run_id, status: "success" },
  ]);
});

test("a run is waited for, on a thread and without one", async () => {
  const thread = await fresh();
  let created;
  const values = await runs.wait(thread, GRAPH, { input: say("talk 2"), onRunCreated: (made) => (created = made) });
  assert.equal(last(values), "w0 w1 ");
  assert.equal(created.thread_id, thread);
  assert.equal(await status(thread, created.run_id), "success");
  assert.equal(last(await runs.wait(null, GRAPH, { input: say("talk 2") })), "w0 w1 ");
});

test("a failure is raised, unless it is asked for", async () => {
  await assert.rejects(runs.wait(null, GRAPH, { input: say("fail") }), /ValueError: kaboom/);
  const answer = await runs.wait(await fresh(), GRAPH, { input: say("fail"), raiseError: false });
  assert.deepEqual(answer.__error__, { error: "ValueError", message: "kaboom" });
});

test("a question is asked and answered", async () => {
  const thread = await fresh();
  const asked = await runs.wait(thread, GRAPH, { input: say("ask") });
  assert.deepEqual(asked.__interrupt__[0].value, { question: "well?" });
  assert.equal((await threads.get(thread)).status, "interrupted");
  const answer = { command: { resume: { [asked.__interrupt__[0].id]: "yes" } } };
  assert.equal(last(await runs.wait(thread, GRAPH, answer)), "You said yes.");
  assert.equal((await threads.get(thread)).status, "idle");
});

test("a run stops before a node, and goes on", async () => {
  const thread = await fresh();
  await runs.wait(thread, GRAPH, { input: say("weather Bern"), interruptBefore: ["tools"] });
  assert.deepEqual((await threads.getState(thread)).next, ["tools"]);
  assert.equal(last(await runs.wait(thread, GRAPH, { input: null })), "It is sunny in Bern.");
});

test("a run starts from a checkpoint", async () => {
  const thread = await fresh();
  await runs.wait(thread, GRAPH, { input: say("march 3") });
  const middle = (await threads.getHistory(thread)).find(({ values }) => values.steps === 1);
  const again = await runs.wait(thread, GRAPH, { input: null, checkpointId: middle.checkpoint.checkpoint_id });
  assert.equal(last(again), "step 3");
  const other = await runs.wait(thread, GRAPH, { input: say("talk 1"), checkpoint: middle.checkpoint });
  assert.deepEqual(other.messages.map(({ content }) => content), ["march 3", "step 1", "talk 1", "w0 "]);
});

test("runs without a thread are created, one and many", async () => {
  const one = await runs.create(null, GRAPH, { input: say("talk 1"), onCompletion: "keep" });
  assert.equal(last(await runs.join(one.thread_id, one.run_id)), "w0 ");
  const payload = { assistantId: GRAPH, onCompletion: "keep" };
  const batch = await runs.createBatch([
    { ...payload, input: say("talk 1") },
    { ...payload, input: say("talk 2") },
  ]);
  const values = await Promise.all(batch.map(({ thread_id, run_id }) => runs.join(thread_id, run_id)));
  assert.deepEqual(values.map(last), ["w0 ", "w0 w1 "]);
});

test("a run is cancelled, and what it did is kept", async () => {
  const thread = await fresh();
  const run = await runs.create(thread, GRAPH, { input: SLOW });
  await eventually(async () => (await threads.getState(thread)).values.steps > 1);
  await runs.cancel(thread, run.run_id, true);
  assert.equal(await status(thread, run.run_id), "interrupted");
  assert.ok((await threads.getState(thread)).values.steps > 1);
  assert.equal(await refusal(runs.cancel(thread, run.run_id)), 404);
});

test("a run is rolled back, and what it did is gone", async () => {
  const thread = await fresh();
  const run = await runs.create(thread, GRAPH, { input: SLOW });
  await running(thread, run.run_id);
  await runs.cancel(thread, run.run_id, true, "rollback");
  assert.equal(await refusal(runs.get(thread, run.run_id)), 404);
  assert.deepEqual((await threads.getState(thread)).values, {});
});

test("many runs are cancelled, by their ids and by their status", async () => {
  const thread = await fresh();
  const made = [];
  for (let count = 0; count < 3; count++) made.push(await runs.create(thread, GRAPH, { input: SLOW }));
  await running(thread, made[0].run_id);
  await runs.cancelMany({ threadId: thread, runIds: [made[1].run_id, made[2].run_id] });
  for (const { run_id } of made.slice(1)) assert.equal(await status(thread, run_id), "interrupted");
  await runs.cancelMany({ status: "all", action: "interrupt" });
  await eventually(async () => (await status(thread, made[0].run_id)) === "interrupted");
});

test("a busy thread refuses, supersedes or waits", async () => {
  const thread = await fresh();
  const first = await runs.create(thread, GRAPH, { input: SLOW });
  await running(thread, first.run_id);
  const strategy = (multitaskStrategy) => ({ input: say("talk 1"), multitaskStrategy });
  assert.equal(await refusal(runs.create(thread, GRAPH, strategy("reject"))), 409);
  const waiting = await runs.create(thread, GRAPH, strategy("enqueue"));
  assert.equal(waiting.status, "pending");
  const values = await runs.wait(thread, GRAPH, strategy("interrupt"));
  assert.equal(last(values), "w0 ");
  assert.equal(await status(thread, first.run_id), "interrupted");
});

test("a run waits for its time", async () => {
  const thread = await fresh();
  const run = await runs.create(thread, GRAPH, { input: say("talk 1"), afterSeconds: 1 });
  assert.equal(await status(thread, run.run_id), "pending");
  assert.equal(last(await runs.join(thread, run.run_id)), "w0 ");
});

test("a stream is read, and joined", async () => {
  const thread = await fresh();
  let created;
  const options = { input: say("march 3 0.05"), streamMode: "values", streamResumable: true };
  const parts = await collect(runs.stream(thread, GRAPH, { ...options, onRunCreated: (made) => (created = made) }));
  assert.equal(created.thread_id, thread);
  assert.equal(last(parts.at(-1).data), "step 3");
  const joined = await collect(runs.joinStream(thread, created.run_id, { lastEventId: "-1", streamMode: "values" }));
  assert.deepEqual(joined.filter(({ event }) => event === "values"), parts.filter(({ event }) => event === "values"));
  const alone = await collect(runs.joinStream(null, created.run_id, { lastEventId: "-1" }));
  assert.deepEqual(alone.at(-1).data, parts.at(-1).data);
});

test("a finished run is deleted", async () => {
  const thread = await fresh();
  const run = await runs.create(thread, GRAPH, { input: say("talk 1") });
  await runs.join(thread, run.run_id);
  await runs.delete(thread, run.run_id);
  assert.equal(await refusal(runs.get(thread, run.run_id)), 404);
});

everythingIsCalled("runs");
