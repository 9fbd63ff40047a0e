// client.runs.stream and joinStream, in each mode.
import { GRAPH, assert, client, collect, last, say, test } from "./harness.mjs";

const { runs, threads } = client;
const fresh = async () => (await threads.create({ graphId: GRAPH })).thread_id;
const read = async (order, options) => collect(runs.stream(await fresh(), GRAPH, { input: say(order), ...options }));
const named = (parts, name) => parts.filter(({ event }) => event === name).map(({ data }) => data);

test("a stream begins with its run", async () => {
  const [first] = await read("talk 1", { streamMode: "values" });
  assert.equal(first.event, "metadata");
  assert.equal(first.data.attempt, 1);
  assert.ok(first.data.run_id);
});

test("values", async () => {
  const values = named(await read("march 2", { streamMode: "values" }), "values");
  assert.deepEqual(values.map(({ messages }) => messages.length), [1, 2, 3]);
});

test("updates", async () => {
  const updates = named(await read("march 2", { streamMode: "updates" }), "updates");
  assert.deepEqual(updates.map(({ step }) => step.steps), [1, 2]);
});

test("custom", async () => {
  assert.deepEqual(named(await read("talk 1", { streamMode: "custom" }), "custom"), [{ progress: "talking" }]);
});

test("messages: each part has the message so far", async () => {
  const parts = await read("talk 3", { streamMode: "messages" });
  const [metadata] = named(parts, "messages/metadata");
  assert.equal(Object.values(metadata)[0].metadata.langgraph_node, "talk");
  const partial = named(parts, "messages/partial").map(([message]) => message.content);
  assert.deepEqual(partial.slice(0, 3), ["w0 ", "w0 w1 ", "w0 w1 w2 "]);
});

test("messages-tuple: each part has what is new", async () => {
  const parts = named(await read("talk 3", { streamMode: "messages-tuple" }), "messages");
  const spoken = parts.filter(([message]) => message.type === "AIMessageChunk");
  assert.equal(spoken.map(([message]) => message.content).join(""), "w0 w1 w2 ");
  assert.equal(spoken[0][1].langgraph_node, "talk");
});

test("messages-tuple: a tool's call and its answer", async () => {
  const parts = named(await read("weather Bern", { streamMode: "messages-tuple" }), "messages");
  const calls = parts.flatMap(([message]) => message.tool_call_chunks ?? []);
  assert.deepEqual(JSON.parse(calls.map(({ args }) => args ?? "").join("")), { place: "Bern" });
  const answer = parts.map(([message]) => message).find(({ type }) => type === "tool");
  assert.equal(answer.content, "sunny in Bern");
});

test("tasks", async () => {
  const tasks = named(await read("march 2", { streamMode: "tasks" }), "tasks");
  const begun = tasks.filter((task) => "input" in task);
  const done = tasks.filter((task) => "result" in task);
  assert.deepEqual(begun.map(({ id }) => id), done.map(({ id }) => id));
  assert.deepEqual(done.map(({ name }) => name), ["step", "step"]);
});

test("checkpoints", async () => {
  const checkpoints = named(await read("march 2", { streamMode: "checkpoints" }), "checkpoints");
  assert.deepEqual(checkpoints.map(({ metadata }) => metadata.step), [-1, 0, 1, 2]);
});

test("debug", async () => {
  const types = named(await read("march 1", { streamMode: "debug" }), "debug").map(({ type }) => type);
  assert.deepEqual(types, ["checkpoint", "checkpoint", "task", "task_result", "checkpoint"]);
});

test("events", async () => {
  const events = named(await read("talk 2", { streamMode: "events" }), "events");
  const spoken = events.filter(({ event }) => event === "on_chat_model_stream").map(({ data }) => data.chunk.content);
  assert.equal(spoken.join(""), "w0 w1 ");
});

test("several modes at once", async () => {
  const parts = await read("march 1", { streamMode: ["values", "updates", "tasks"] });
  assert.deepEqual(new Set(parts.map(({ event }) => event)), new Set(["metadata", "values", "updates", "tasks"]));
});

test("subgraphs, if asked for", async () => {
  const options = { streamMode: ["updates", "messages-tuple"] };
  const without = await read("delegate 2", options);
  assert.ok(without.every(({ event }) => !event.includes("|")));
  const within = await read("delegate 2", { ...options, streamSubgraphs: true });
  const inner = within.filter(({ event }) => /^updates\|team:[0-9a-f-]+$/.test(event));
  assert.deepEqual(inner.map(({ data }) => Object.keys(data)), [["member"]]);
  assert.ok(within.some(({ event }) => event.startsWith("messages|team:")));
});

test("a question ends a stream", async () => {
  const parts = await read("ask", { streamMode: ["values", "updates"] });
  const [interrupt] = named(parts, "updates").at(-1).__interrupt__;
  assert.deepEqual(interrupt.value, { question: "well?" });
  assert.equal(named(parts, "values").at(-1).__interrupt__[0].id, interrupt.id);
});

test("a failure is an event", async () => {
  const parts = await read("fail", { streamMode: "values" });
  assert.deepEqual(named(parts, "error"), [{ error: "ValueError", message: "kaboom" }]);
});

test("a stream without a thread", async () => {
  const parts = await collect(runs.stream(null, GRAPH, { input: say("talk 1"), streamMode: "values" }));
  assert.equal(last(parts.at(-1).data), "w0 ");
});

test("a joined stream has what is asked for", async () => {
  const thread = await fresh();
  const options = { input: say("march 2"), streamMode: ["values", "updates", "tasks"], streamResumable: true };
  const { run_id } = await runs.create(thread, GRAPH, options);
  const join = (streamMode) => collect(runs.joinStream(thread, run_id, { lastEventId: "-1", streamMode }));
  const names = (parts) => new Set(parts.map(({ event }) => event).filter((event) => event !== "metadata"));
  assert.deepEqual(names(await join()), new Set(["values", "updates", "tasks"]));
  assert.deepEqual(names(await join("updates")), new Set(["updates"]));
  assert.deepEqual(names(await join(["values", "tasks"])), new Set(["values", "tasks"]));
});

test("a client that goes away cancels its run, if it said so", async () => {
  const thread = await fresh();
  const leaving = new AbortController();
  let run;
  const options = { input: say("march 200 0.05"), streamMode: "values", onDisconnect: "cancel", signal: leaving.signal };
  const reading = collect(runs.stream(thread, GRAPH, { ...options, onRunCreated: ({ run_id }) => (run = run_id) }), {
    until: ({ event }) => event === "values" && leaving.abort() === undefined,
  });
  await reading.catch(() => {});
  await runs.join(thread, run);
  assert.equal((await runs.get(thread, run)).status, "interrupted");
});
