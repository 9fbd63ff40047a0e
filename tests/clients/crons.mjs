// client.crons, every method.
import { GRAPH, assert, client, everythingIsCalled, refusal, say, test } from "./harness.mjs";

const { assistants, crons, threads } = client;
const YEARLY = "0 0 1 1 *";
const metadata = { owner: "js-crons" };
let alone;
let onThread;

test("crons are created, with a thread and without one", async () => {
  alone = await crons.create(GRAPH, {
    schedule: YEARLY,
    timezone: "Europe/Zurich",
    input: say("talk 1"),
    metadata,
    enabled: true,
    endTime: "2099-01-01T00:00:00Z",
    onRunCompleted: "keep",
  });
  assert.ok(alone.cron_id);
  assert.equal(alone.schedule, YEARLY);
  assert.equal(alone.thread_id, null);
  assert.ok(Date.parse(alone.next_run_date) > Date.now());
  const { thread_id } = await threads.create({ graphId: GRAPH });
  onThread = await crons.createForThread(thread_id, GRAPH, { schedule: YEARLY, input: say("talk 1"), metadata });
  assert.equal(onThread.thread_id, thread_id);
});

test("what cannot be a cron is refused", async () => {
  assert.equal(await refusal(crons.create(GRAPH, { schedule: "zzz" })), 422);
  assert.equal(await refusal(crons.create(GRAPH, { schedule: YEARLY, timezone: "Nowhere/Land" })), 422);
});

test("crons are searched and counted", async () => {
  const ids = (found) => found.map(({ cron_id }) => cron_id);
  const query = { metadata, sortBy: "created_at", sortOrder: "asc" };
  assert.deepEqual(ids(await crons.search(query)), ids([alone, onThread]));
  assert.deepEqual(ids(await crons.search({ ...query, limit: 1, offset: 1 })), ids([onThread]));
  assert.deepEqual(ids(await crons.search({ ...query, threadId: onThread.thread_id })), ids([onThread]));
  assert.deepEqual(await crons.search({ ...query, limit: 1, select: ["cron_id"] }), [{ cron_id: alone.cron_id }]);
  const [{ assistant_id }] = await assistants.search({ graphId: GRAPH, metadata: { created_by: "system" } });
  assert.equal(await crons.count({ metadata, assistantId: assistant_id }), 2);
  assert.equal(await crons.count({ metadata, threadId: onThread.thread_id }), 1);
});

test("a cron is changed", async () => {
  const changed = await crons.update(alone.cron_id, { schedule: "30 6 * * *", enabled: false });
  assert.equal(changed.schedule, "30 6 * * *");
  assert.equal(changed.enabled, false);
  assert.notEqual(changed.next_run_date, alone.next_run_date);
  const found = await crons.search({ metadata, enabled: false });
  assert.deepEqual(found.map(({ cron_id }) => cron_id), [alone.cron_id]);
});

test("a deleted cron is gone", async () => {
  await crons.delete(alone.cron_id);
  await crons.delete(onThread.cron_id);
  assert.equal(await crons.count({ metadata }), 0);
  assert.equal(await refusal(crons.delete(alone.cron_id)), 404);
});

everythingIsCalled("crons");
