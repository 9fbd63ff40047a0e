// Streams and waits of stock clients continue after their server was killed and another one started, and after their
// connections broke.
import { Client } from "@langchain/langgraph-sdk";
import { GRAPH, assert, client, collect, eventually, fault, last, say, test, url } from "./harness.mjs";

const { runs, threads } = client;
const MARCH = say("march 8 0.15");
const fresh = async () => (await threads.create({ graphId: GRAPH })).thread_id;

const RESUMABLE = { input: MARCH, streamMode: "values", streamResumable: true, durability: "sync" };

/** Read a stream, and notify once when it shows the second step. */
const reading = (stream, there) =>
  collect(stream, {
    until({ event, data }) {
      if (event === "values" && data.steps >= 2) there();
      return false;
    },
  });

/** Each step is seen, in order. With `sync` durability none is repeated. */
function assertWhole(parts) {
  const steps = parts.filter(({ event }) => event === "values").map(({ data }) => data.steps ?? 0);
  const once = steps.filter((step, place) => step !== steps[place - 1]);
  assert.deepEqual(once, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(last(parts.at(-1).data), "step 8");
  const ids = parts.map(({ id }) => id).filter(Boolean);
  assert.equal(new Set(ids).size, ids.length, "An event was sent twice.");
}

test("streams, and a run that nobody reads, go on over the server's death", async () => {
  const [one, two, three] = await Promise.all([fresh(), fresh(), fresh()]);
  let run;
  const streams = await Promise.all([
    new Promise((there) => {
      const stream = runs.stream(one, GRAPH, { ...RESUMABLE, onDisconnect: "continue", onRunCreated: ({ run_id }) => (run = run_id) });
      const read = reading(stream, () => there({ read }));
    }),
    runs.create(two, GRAPH, RESUMABLE).then(
      ({ run_id }) =>
        new Promise((there) => {
          const read = reading(runs.joinStream(two, run_id, { lastEventId: "-1", streamMode: "values" }), () => there({ read }));
        }),
    ),
    runs.create(three, GRAPH, { input: MARCH }).then(async ({ run_id }) => {
      await eventually(async () => (await threads.getState(three)).values.steps >= 1);
      return { read: Promise.resolve(), run_id };
    }),
  ]);
  await fault("kill");
  await fault("start");
  const [streamed, joined] = await Promise.all(streams.map(({ read }) => read));
  assertWhole(streamed);
  assert.deepEqual(
    streamed.filter(({ event }) => event === "metadata").map(({ data }) => data.attempt),
    [1, 2],
  );
  assert.equal((await runs.get(one, run)).status, "success");
  assertWhole(joined);
  assert.equal(last(await runs.join(three, streams[2].run_id)), "step 8");
});

test("a stream goes on over a restart that was announced, and calls made meanwhile wait for it", async () => {
  const [thread, other] = await Promise.all([fresh(), fresh()]);
  let restarted;
  async function restart() {
    await fault("stop");
    const calls = Promise.all([threads.get(other), threads.create({ graphId: GRAPH }), runs.wait(other, GRAPH, { input: say("talk 1") })]);
    await fault("start");
    const [found, made, values] = await calls;
    assert.equal(found.thread_id, other);
    assert.ok(made.thread_id);
    assert.equal(last(values), "w0 ");
  }
  assertWhole(await reading(runs.stream(thread, GRAPH, { ...RESUMABLE, onDisconnect: "continue" }), () => (restarted ??= restart())));
  await restarted;
});

/** A client with broken connections: each event stream breaks once within its fourth event, `times` times in total. */
function breaking(times) {
  const broken = { left: times, reconnects: 0 };
  const breakingFetch = async (address, init) => {
    const response = await fetch(address, init);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream") || !broken.left) return response;
    broken.left -= 1;
    let text = "";
    const body = response.body.pipeThrough(
      new TransformStream({
        transform(chunk, controller) {
          const before = text.length;
          text += new TextDecoder().decode(chunk);
          const place = [...text.matchAll(/\ndata: /g)][3]?.index;
          if (place === undefined) return controller.enqueue(chunk);
          // Only a part of the event's data has arrived.
          controller.enqueue(chunk.slice(0, Math.max(0, place + 9 - before)));
          controller.error(new TypeError("terminated"));
        },
      }),
    );
    return new Response(body, response);
  };
  const client = new Client({ apiUrl: url, apiKey: null, callerOptions: { fetch: breakingFetch } });
  return { client, broken };
}

test("streams that break in the middle of an event go on with it", async () => {
  const { client, broken } = breaking(2);
  const thread = await fresh();
  assertWhole(await collect(client.runs.stream(thread, GRAPH, { ...RESUMABLE, onDisconnect: "continue" })));
  assert.equal(broken.left, 0);
});

test("a joined stream that breaks in the middle of an event goes on with it", async () => {
  const { client, broken } = breaking(2);
  const thread = await fresh();
  const { run_id } = await runs.create(thread, GRAPH, RESUMABLE);
  assertWhole(await collect(client.runs.joinStream(thread, run_id, { lastEventId: "-1", streamMode: "values" })));
  assert.equal(broken.left, 0);
});

test("what becomes of a run whose connection breaks, its client says", async () => {
  const cases = [
    { onDisconnect: "cancel", streamResumable: false, status: "interrupted" },
    { onDisconnect: "cancel", streamResumable: true, status: "interrupted" },
    // The log also has the events that a stream without resumption missed.
    { onDisconnect: "continue", streamResumable: false, status: "success" },
  ];
  const become = async ({ status, ...options }) => {
    const thread = await fresh();
    let run;
    const given = { ...RESUMABLE, ...options, onRunCreated: ({ run_id }) => (run = run_id) };
    const parts = await collect(breaking(1).client.runs.stream(thread, GRAPH, given));
    await eventually(async () => (await runs.get(thread, run)).status === status);
    if (status === "success") assertWhole(parts);
    else assert.ok(parts.length < 8);
  };
  await Promise.all(cases.map(become));
});

test("streams go on whose connections are cut on their way", async () => {
  const through = new Client({ apiUrl: process.env.PROXY_URL, apiKey: null });
  const cut = new Set();
  const stream = through.runs.stream(await fresh(), GRAPH, { ...RESUMABLE, onDisconnect: "continue" });
  const parts = await collect(stream, {
    until({ event, data }) {
      if (event === "values" && data.steps % 3 === 2 && !cut.has(data.steps)) cut.add(data.steps) && fault("cut");
      return false;
    },
  });
  assertWhole(parts);
  assert.equal(cut.size, 3);
});
