// client.threads, every method.
import { GRAPH, assert, client, collect, everythingIsCalled, last, refusal, say, test, texts } from "./harness.mjs";

const { runs, threads } = client;
const FIRST = "01933333-3333-7333-8333-333333333333";

test("a thread is created, and found", async () => {
  const thread = await threads.create({ threadId: FIRST, metadata: { topic: "weather" }, graphId: GRAPH });
  assert.equal(thread.thread_id, FIRST);
  assert.equal(thread.status, "idle");
  assert.deepEqual(thread.metadata, { topic: "weather", graph_id: GRAPH });
  assert.equal((await threads.get(FIRST)).thread_id, FIRST);
  assert.equal(await refusal(threads.create({ threadId: FIRST })), 409);
  const again = await threads.create({ threadId: FIRST, ifExists: "do_nothing", metadata: { topic: "x" } });
  assert.equal(again.metadata.topic, "weather");
});

test("a thread's metadata and time to live are changed", async () => {
  const updated = await threads.update(FIRST, { metadata: { stars: 5 }, ttl: 60 });
  assert.deepEqual(updated.metadata, { topic: "weather", graph_id: GRAPH, stars: 5 });
  assert.equal(await threads.update(FIRST, { metadata: { stars: 4 }, returnMinimal: true }), undefined);
  const { ttl, metadata } = await threads.get(FIRST, { include: ["ttl"] });
  assert.equal(ttl.ttl_minutes, 60);
  assert.equal(metadata.stars, 4);
});

test("a thread's state is read, at a checkpoint too", async () => {
  await runs.wait(FIRST, GRAPH, { input: say("march 2") });
  const state = await threads.getState(FIRST);
  assert.equal(last(state.values), "step 2");
  assert.deepEqual(state.next, []);
  const history = await threads.getHistory(FIRST);
  assert.deepEqual(history.map(({ metadata }) => metadata.step), [2, 1, 0, -1]);
  const middle = history[1];
  for (const place of [middle.checkpoint, middle.checkpoint.checkpoint_id]) {
    const then = await threads.getState(FIRST, place, { subgraphs: true });
    assert.equal(last(then.values), "step 1");
    assert.deepEqual(then.next, ["step"]);
  }
});

test("a history is read by pages", async () => {
  const [newest, ...older] = await threads.getHistory(FIRST);
  const before = { configurable: newest.checkpoint };
  assert.deepEqual(
    (await threads.getHistory(FIRST, { limit: 2, before })).map(({ checkpoint }) => checkpoint.checkpoint_id),
    older.slice(0, 2).map(({ checkpoint }) => checkpoint.checkpoint_id),
  );
  const loops = await threads.getHistory(FIRST, { metadata: { source: "loop" } });
  assert.ok(loops.length > 0 && loops.every(({ metadata }) => metadata.source === "loop"));
  const inside = await threads.getHistory(FIRST, { checkpoint: { checkpoint_ns: "" }, limit: 1 });
  assert.equal(inside.length, 1);
});

test("a thread's state is changed, as a node, and from a checkpoint", async () => {
  const values = { messages: [{ type: "ai", content: "mended" }] };
  const changed = await threads.updateState(FIRST, { values, asNode: "talk" });
  assert.equal(changed.checkpoint.thread_id, FIRST);
  assert.ok(changed.configurable.checkpoint_id);
  const state = await threads.getState(FIRST);
  assert.equal(last(state.values), "mended");
  assert.equal(state.checkpoint.checkpoint_id, changed.checkpoint.checkpoint_id);
  const [, , first] = await threads.getHistory(FIRST, { limit: 3 });
  await threads.updateState(FIRST, { values, checkpointId: first.checkpoint.checkpoint_id, asNode: "step" });
  assert.deepEqual(texts((await threads.getState(FIRST)).values), ["march 2", "step 1", "mended"]);
});

test("a state's metadata is changed, from an id and from a config", async () => {
  await threads.patchState(FIRST, { reviewed: true });
  await threads.patchState({ configurable: { thread_id: FIRST } }, { reviewer: "js" });
  const [newest] = await threads.getHistory(FIRST, { limit: 1 });
  assert.equal(newest.metadata.reviewed, true);
  assert.equal(newest.metadata.reviewer, "js");
});

test("a thread is made of supersteps, and copied", async () => {
  const made = await threads.create({
    graphId: GRAPH,
    supersteps: [
      { updates: [{ values: say("march 2"), asNode: "__start__" }] },
      { updates: [{ values: { messages: [{ type: "ai", content: "step 1" }], steps: 1 }, asNode: "step" }] },
    ],
  });
  assert.equal(made.status, "interrupted");
  const copy = await threads.copy(made.thread_id);
  assert.notEqual(copy.thread_id, made.thread_id);
  assert.equal(last(await runs.wait(copy.thread_id, GRAPH, { input: null })), "step 2");
  assert.equal(last((await threads.getState(made.thread_id)).values), "step 1");
  assert.equal((await threads.getHistory(copy.thread_id)).length, (await threads.getHistory(made.thread_id)).length + 1);
});

test("threads are searched and counted", async () => {
  const topic = { batch: "searched" };
  const made = [];
  for (const rank of [1, 2, 3]) made.push(await threads.create({ metadata: { ...topic, rank }, graphId: GRAPH }));
  await runs.wait(made[0].thread_id, GRAPH, { input: say("talk 1") });
  await runs.wait(made[1].thread_id, GRAPH, { input: say("ask") });
  const ids = (found) => found.map(({ thread_id }) => thread_id);
  const query = { metadata: topic, sortBy: "created_at", sortOrder: "asc" };
  assert.deepEqual(ids(await threads.search(query)), ids(made));
  assert.deepEqual(ids(await threads.search({ ...query, limit: 1, offset: 1 })), [made[1].thread_id]);
  assert.deepEqual(ids(await threads.search({ ...query, status: "interrupted" })), [made[1].thread_id]);
  assert.deepEqual(ids(await threads.search({ ids: [made[2].thread_id] })), [made[2].thread_id]);
  assert.deepEqual(await threads.search({ ...query, limit: 1, select: ["thread_id"] }), [{ thread_id: made[0].thread_id }]);
  const [found] = await threads.search({ ...query, limit: 1, extract: { said: "values.messages[-1].content" } });
  assert.equal(found.extracted.said, "w0 ");
  const byValues = await threads.search({ metadata: topic, values: (await threads.get(made[0].thread_id)).values });
  assert.deepEqual(ids(byValues), [made[0].thread_id]);
  assert.equal(await threads.count({ metadata: topic }), 3);
  assert.equal(await threads.count({ metadata: topic, status: "interrupted" }), 1);
});

test("threads are pruned", async () => {
  const { thread_id } = await threads.create({ graphId: GRAPH });
  await runs.wait(thread_id, GRAPH, { input: say("march 2") });
  assert.deepEqual(await threads.prune([thread_id], { strategy: "keep_latest" }), { pruned_count: 1 });
  assert.equal((await threads.getHistory(thread_id)).length, 1);
  assert.equal(last((await threads.getState(thread_id)).values), "step 2");
  assert.deepEqual(await threads.prune([thread_id]), { pruned_count: 1 });
  assert.equal(await refusal(threads.get(thread_id)), 404);
});

test("a thread's stream has every run's events, and is joined again where it was left", async () => {
  const { thread_id } = await threads.create({ graphId: GRAPH });
  const ended = (part) => part.event === "metadata" && part.data?.status === "run_done";
  // Each reader starts before the run, at the thread's beginning; their order does not matter.
  const reading = collect(threads.joinStream(thread_id, { lastEventId: "-" }), { until: ended });
  await runs.create(thread_id, GRAPH, { input: say("talk 2"), streamMode: ["values", "updates"] });
  const parts = await reading;
  assert.ok(parts.some(({ event }) => event === "values"));
  assert.ok(parts.some(({ event }) => event === "updates"));
  assert.ok(parts.every(({ id }) => id));
  const rest = await collect(threads.joinStream(thread_id, { lastEventId: parts[1].id }), { until: ended });
  assert.deepEqual(rest.map(({ id }) => id), parts.slice(2).map(({ id }) => id));
  const turns = collect(threads.joinStream(thread_id, { lastEventId: "-", streamMode: "lifecycle" }), { until: ended });
  assert.ok((await turns).every(({ event }) => event === "metadata"));
});

test("a protocol stream of a thread is opened", async () => {
  const stream = threads.stream({ assistantId: GRAPH });
  assert.ok(stream.threadId);
  await stream.close();
});

test("a deleted thread is gone", async () => {
  await threads.delete(FIRST);
  assert.equal(await refusal(threads.get(FIRST)), 404);
  assert.equal(await refusal(threads.delete(FIRST)), 404);
});

everythingIsCalled("threads");
