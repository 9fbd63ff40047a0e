// client.threads.stream: the agent streaming protocol, over TRANSPORT sse or websocket.
import { Client } from "@langchain/langgraph-sdk";
import { GRAPH, assert, client, eventually, last, say, test, texts, url } from "./harness.mjs";

const { TRANSPORT: transport = "sse" } = process.env;
const { runs, threads } = client;
const stock = new Client({ apiUrl: url, apiKey: null });

/** Open a session, use it, and close it. */
async function session(use, { threadId, ...options } = {}) {
  const given = { assistantId: GRAPH, transport, ...options };
  const stream = threadId ? stock.threads.stream(threadId, given) : stock.threads.stream(given);
  try {
    return await use(stream);
  } finally {
    await stream.close();
  }
}

/** Read until the end of the run's root graph; return all events and the final status. */
async function ending(subscription) {
  const events = [];
  for await (const event of subscription) {
    events.push(event);
    const { namespace, data } = event.params;
    if (event.method === "lifecycle" && !namespace.length && ["completed", "failed", "interrupted"].includes(data.event)) {
      return { events, end: data };
    }
  }
  return assert.fail("The stream ended before the run.");
}

const CHANNELS = ["values", "updates", "messages", "tools", "lifecycle", "input", "custom", "tasks", "checkpoints"];
const start = (stream, words) => stream.run.start({ input: say(words) });
const spoken = (values) => values.messages.map((message) => message.text ?? message.content);

test("a run's output is awaited", () =>
  session(async (stream) => {
    const { run_id } = await start(stream, "talk 2");
    assert.ok(run_id);
    assert.deepEqual(spoken(await stream.output), ["talk 2", "w0 w1 "]);
    await eventually(async () => (await runs.get(stream.threadId, run_id)).status === "success");
  }));

test("values follow each step", () =>
  session(async (stream) => {
    const seen = [];
    const reading = (async () => {
      for await (const values of stream.values) seen.push(values.steps ?? 0);
    })();
    await start(stream, "march 3");
    await reading;
    assert.deepEqual([...new Set(seen)], [0, 1, 2, 3]);
  }));

for (const order of ["talk 4", "speak 4"]) {
  test(`a message's words follow each other: ${order}`, () =>
    session(async (stream) => {
      const reading = (async () => {
        const told = [];
        for await (const message of stream.messages) {
          const words = [];
          for await (const word of message.text) words.push(word);
          told.push({ words, whole: await message.text, usage: await message.usage });
        }
        return told;
      })();
      await start(stream, order);
      const [{ words, whole, usage }, ...others] = await reading;
      assert.deepEqual(others, []);
      assert.equal(whole, "w0 w1 w2 w3 ");
      assert.ok(words.length > 1, JSON.stringify(words));
      assert.equal(usage.output_tokens, 4);
    }));
}

test("a tool is called, and answers", () =>
  session(async (stream) => {
    const reading = (async () => {
      for await (const call of stream.toolCalls) return { name: call.name, input: call.input ?? call.args, output: await call.output };
    })();
    await start(stream, "weather Bern");
    const { name, input, output } = await reading;
    assert.equal(name, "weather");
    assert.deepEqual(input, { place: "Bern" });
    assert.match(JSON.stringify(output), /sunny in Bern/);
  }));

test("a subgraph is found, and read", () =>
  session(async (stream) => {
    const reading = (async () => {
      for await (const subgraph of stream.subgraphs) {
        const texts = [];
        for await (const message of subgraph.messages) texts.push(await message.text);
        return { name: subgraph.name, texts };
      }
    })();
    // Over a websocket the SDK stops reading after the run's end, which must not come before the subgraph is found.
    await start(stream, "delegate 2 0.3");
    assert.deepEqual(await reading, { name: "team", texts: ["w0 w1 "] });
  }));

test("what a node writes is an extension", () =>
  session(async (stream) => {
    const subscription = await stream.subscribe({ channels: ["custom", "lifecycle"] });
    await start(stream, "talk 1");
    const { events } = await ending(subscription);
    const custom = events.filter(({ method }) => method === "custom").map(({ params }) => params.data.payload);
    assert.deepEqual(custom, [{ progress: "talking" }]);
  }));

test("a question is asked, and answered", () =>
  session(async (stream) => {
    const subscription = await stream.subscribe({ channels: CHANNELS });
    await start(stream, "ask");
    const { events, end } = await ending(subscription);
    assert.equal(end.event, "interrupted");
    const requested = events.find(({ method }) => method === "input.requested").params.data;
    assert.deepEqual(requested.payload, { question: "well?" });
    const [{ interruptId, namespace }] = stream.interrupts;
    assert.equal(interruptId, requested.interrupt_id);
    assert.ok(stream.interrupted);
    const again = await stream.subscribe({ channels: ["values", "lifecycle"] });
    await stream.input.respond({ interrupt_id: interruptId, namespace, response: "yes" });
    await eventually(async () => (await threads.get(stream.threadId)).status === "idle");
    assert.equal(last((await threads.getState(stream.threadId)).values), "You said yes.");
    await again.unsubscribe();
    await assert.rejects(stream.input.respond({ interrupt_id: interruptId, namespace, response: "no" }), /no_such_interrupt|Unknown|already/);
  }));

test("many answers are given at once", () =>
  session(async (stream) => {
    const subscription = await stream.subscribe({ channels: ["lifecycle", "input"] });
    await stream.submitRun({ input: say("ask") });
    await ending(subscription);
    const [{ interruptId }] = stream.interrupts;
    await stream.respondInput({ responses: [{ interrupt_id: interruptId, response: "both" }] });
    await eventually(async () => last((await threads.getState(stream.threadId)).values) === "You said both.");
  }));

test("a failure is told", () =>
  session(async (stream) => {
    const subscription = await stream.subscribe({ channels: ["lifecycle"] });
    await start(stream, "fail");
    const { end } = await ending(subscription);
    assert.equal(end.event, "failed");
    assert.match(end.error, /kaboom/);
  }));

test("every channel is on", () =>
  session(async (stream) => {
    const subscription = await stream.subscribe({ channels: CHANNELS });
    await start(stream, "weather Bern");
    const { events } = await ending(subscription);
    const methods = new Set(events.map(({ method }) => method));
    for (const method of ["values", "updates", "messages", "tools", "lifecycle", "custom", "tasks", "checkpoints"]) {
      assert.ok(methods.has(method), `${method} is missing: ${[...methods]}`);
    }
    const seqs = events.map(({ seq }) => seq);
    assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b), "seq only grows");
    const ids = events.map(({ event_id }) => event_id);
    assert.equal(new Set(ids).size, ids.length, "event ids are unique");
    assert.equal(stream.ordering.lastSeenSeq >= seqs.at(-1), true);
  }));

test("whoever comes later sees the same events, with the same numbers", async () => {
  const read = (stream) => stream.subscribe({ channels: CHANNELS }).then(ending);
  let threadId;
  const first = await session(async (stream) => {
    ({ threadId } = stream);
    const reading = read(stream);
    await start(stream, "march 2");
    return (await reading).events;
  });
  const second = await session(async (stream) => (await read(stream)).events, { threadId });
  const shape = (events) => events.map(({ seq, event_id, method }) => ({ seq, event_id, method }));
  assert.deepEqual(shape(second), shape(first));
});

test("a run of the other protocol is seen in full, and the other way around", async () => {
  const { thread_id } = await threads.create({ graphId: GRAPH });
  const run = await runs.create(thread_id, GRAPH, { input: say("weather Bern") });
  await session(
    async (stream) => {
      const { events } = await ending(await stream.subscribe({ channels: CHANNELS }));
      const methods = new Set(events.map(({ method }) => method));
      assert.ok(methods.has("messages") && methods.has("tools") && methods.has("values"), [...methods].join());
      await runs.join(thread_id, run.run_id);
      const { run_id } = await start(stream, "talk 1");
      const parts = [];
      for await (const part of runs.joinStream(thread_id, run_id, { lastEventId: "-1" })) parts.push(part.event);
      assert.ok(parts.some((event) => event.startsWith("values")), parts.join());
    },
    { threadId: thread_id },
  );
});

test("a run starts from a checkpoint", () =>
  session(async (stream) => {
    await start(stream, "march 3");
    await stream.output;
    const middle = (await threads.getHistory(stream.threadId)).find(({ values }) => values.steps === 1);
    const { run_id } = await stream.run.start({ input: say("talk 1"), forkFrom: middle.checkpoint.checkpoint_id });
    await runs.join(stream.threadId, run_id);
    assert.deepEqual(texts((await threads.getState(stream.threadId)).values), ["march 3", "step 1", "talk 1", "w0 "]);
  }));

test("a busy thread refuses, or is taken over", () =>
  session(async (stream) => {
    const first = await start(stream, "march 200 0.05");
    await assert.rejects(stream.run.start({ input: say("talk 1"), multitaskStrategy: "reject" }), /409|already running/);
    const { run_id } = await stream.run.start({ input: say("talk 1"), multitaskStrategy: "interrupt" });
    await runs.join(stream.threadId, run_id);
    assert.equal((await runs.get(stream.threadId, first.run_id)).status, "interrupted");
  }));

test("the tree of a run is told", () =>
  session(async (stream) => {
    await start(stream, "march 200 0.05");
    const { tree } = await eventually(() => stream.agent.getTree().catch(() => null));
    assert.deepEqual(tree.namespace, []);
    const [{ run_id }] = await runs.list(stream.threadId);
    await runs.cancel(stream.threadId, run_id, true);
  }));

test("an unknown assistant is refused", () =>
  session((stream) => assert.rejects(start(stream, "talk 1"), /assistant/i), { assistantId: "nobody" }));
