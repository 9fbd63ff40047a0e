// Streams and waits of stock clients go on after their server was killed in the middle, and another one started.
import { GRAPH, assert, client, collect, eventually, fault, last, say, test } from "./harness.mjs";

const { runs, threads } = client;
const MARCH = say("march 8 0.15");
const fresh = async () => (await threads.create({ graphId: GRAPH })).thread_id;

/** Read a stream; once it shows the second step, kill the server and start another. */
async function readThroughDeath(stream) {
  let died;
  const parts = await collect(stream, {
    until({ event, data }) {
      if (!died && event === "values" && data.steps >= 2) died = fault("kill").then(() => fault("start"));
      return false;
    },
  });
  assert.ok(died, "The stream ended before the server was killed.");
  await died;
  return parts;
}

/** Each step is seen, in order. With `sync` durability none is done twice. */
function assertWhole(parts) {
  const steps = parts.filter(({ event }) => event === "values").map(({ data }) => data.steps ?? 0);
  const once = steps.filter((step, place) => step !== steps[place - 1]);
  assert.deepEqual(once, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(last(parts.at(-1).data), "step 8");
  const ids = parts.map(({ id }) => id).filter(Boolean);
  assert.equal(new Set(ids).size, ids.length, "An event was sent twice.");
}

test("a stream goes on", async () => {
  const thread = await fresh();
  const options = { input: MARCH, streamMode: "values", streamResumable: true, durability: "sync", onDisconnect: "continue" };
  let run;
  const parts = await readThroughDeath(runs.stream(thread, GRAPH, { ...options, onRunCreated: ({ run_id }) => (run = run_id) }));
  assertWhole(parts);
  const attempts = parts.filter(({ event }) => event === "metadata").map(({ data }) => data.attempt);
  assert.deepEqual(attempts, [1, 2]);
  assert.equal((await runs.get(thread, run)).status, "success");
});

test("a joined stream goes on", async () => {
  const thread = await fresh();
  const { run_id } = await runs.create(thread, GRAPH, { input: MARCH, streamMode: "values", streamResumable: true, durability: "sync" });
  assertWhole(await readThroughDeath(runs.joinStream(thread, run_id, { lastEventId: "-1", streamMode: "values" })));
});

test("a run that nobody reads goes on, and can be joined", async () => {
  const thread = await fresh();
  const { run_id } = await runs.create(thread, GRAPH, { input: MARCH });
  await eventually(async () => (await threads.getState(thread)).values.steps >= 1);
  await fault("kill");
  await fault("start");
  assert.equal(last(await runs.join(thread, run_id)), "step 8");
});

test("a stream goes on over a restart that was announced", async () => {
  const thread = await fresh();
  const options = { input: MARCH, streamMode: "values", streamResumable: true, durability: "sync", onDisconnect: "continue" };
  let restarted;
  const parts = await collect(runs.stream(thread, GRAPH, options), {
    until({ event, data }) {
      if (!restarted && event === "values" && data.steps >= 2) restarted = fault("stop").then(() => fault("start"));
      return false;
    },
  });
  await restarted;
  assertWhole(parts);
});
