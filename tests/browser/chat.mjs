// What people do on a chat page, through one of the stock hooks: HOOK is legacy or v2, TRANSPORT sse or websocket.
import { assert, fault, open, test } from "./harness.mjs";

const { HOOK: hook = "legacy", TRANSPORT: transport = "sse" } = process.env;
const opened = () => open({ hook, transport });

/** Check what was on the page over time: never less than before, and at least so many different states. */
function assertGrew(seen, least) {
  for (const [place, shown] of seen.entries()) {
    if (place) assert.ok(shown.startsWith(seen[place - 1]) || shown.includes(seen[place - 1]), JSON.stringify(seen));
  }
  assert.ok(seen.length >= least, JSON.stringify(seen));
}

test("an answer streams, and a second one after it", async () => {
  const chat = await opened();
  await chat.send("talk 8 0.05");
  await chat.shows(["talk 8 0.05", "w0 w1 w2 w3 w4 w5 w6 w7 "]);
  assertGrew(await chat.seen(), 6);
  await chat.send("talk 1");
  await chat.shows(["talk 8 0.05", "w0 w1 w2 w3 w4 w5 w6 w7 ", "talk 1", "w0 "]);
  chat.close();
});

test("a tool is called", async () => {
  const chat = await opened();
  await chat.send("weather Bern");
  await chat.shows(["weather Bern", "", "sunny in Bern", "It is sunny in Bern."]);
  await chat.has("#tools li", /weather {"place":"Bern"} .*sunny in Bern/);
  chat.close();
});

test("a question is asked, and answered", async () => {
  const chat = await opened();
  await chat.send("ask");
  await chat.has("#question", "well?");
  await chat.idle();
  await chat.answer("yes");
  await chat.shows(["ask", "You said yes."]);
  assert.equal(await chat.tab.locator("#question").count(), 0);
  chat.close();
});

test("a question is still there after a reload", async () => {
  const chat = await opened();
  await chat.send("ask");
  await chat.has("#question", "well?");
  // The page shows the question by the thread's state, before the hook has heard it and takes an answer.
  const heard = transport === "websocket" ? chat.hears("input.requested") : null;
  await chat.tab.reload();
  await chat.has("#question", "well?");
  await heard;
  await chat.answer("later");
  await chat.shows(["ask", "You said later."]);
  chat.close();
});

test("a subgraph's answer streams", async () => {
  const chat = await opened();
  await chat.send("delegate 3");
  await chat.shows(["delegate 3", "w0 w1 w2 "]);
  if (hook === "v2") await chat.has("#subgraphs .subgraph", "team: ");
  chat.close();
});

test("a failure is shown, and the thread goes on", async () => {
  const chat = await opened();
  await chat.send("fail");
  await chat.has("#error", "kaboom");
  await chat.idle();
  await chat.send("talk 1");
  await chat.shows(["fail", "talk 1", "w0 "]);
  chat.close();
});

test("a run is stopped, and the thread goes on", async () => {
  const chat = await opened();
  await chat.send("march 100 0.1");
  await chat.has("#messages li", "step 2");
  await chat.stop();
  await chat.idle();
  await chat.send("talk 1");
  await chat.has("#messages li", "w0 ");
  await chat.idle();
  const texts = await chat.texts();
  assert.ok(texts.length < 20, "The run was not stopped.");
  assert.deepEqual(texts.slice(-2), ["talk 1", "w0 "]);
  chat.close();
});

test("a conversation branches where it was", async () => {
  const chat = await opened();
  await chat.send("talk 1");
  await chat.shows(["talk 1", "w0 "]);
  await chat.send("talk 2");
  await chat.shows(["talk 1", "w0 ", "talk 2", "w0 w1 "]);
  await chat.fork(3, "talk 3");
  await chat.shows(["talk 1", "w0 ", "talk 3", "w0 w1 w2 "]);
  await chat.tab.reload();
  await chat.shows(["talk 1", "w0 ", "talk 3", "w0 w1 w2 "]);
  chat.close();
});

test("a reload in the middle joins the run again", async () => {
  const chat = await opened();
  await chat.send("march 8 0.15");
  await chat.has("#messages li", "step 2");
  await chat.tab.reload();
  await chat.has("#messages li", "step 4");
  await chat.shows(["march 8 0.15", ...Array.from({ length: 8 }, (_, place) => `step ${place + 1}`)]);
  chat.close();
});

for (const [how, what] of [
  ["kill", "the server is killed in the middle, and the page goes on"],
  ["stop", "the server is restarted in the middle, and the page goes on"],
]) {
  test(what, async () => {
    const chat = await opened();
    await chat.send("march 8 0.15");
    await chat.has("#messages li", "step 2");
    await fault(how);
    await fault("start");
    await chat.shows(["march 8 0.15", ...Array.from({ length: 8 }, (_, place) => `step ${place + 1}`)]);
    await chat.send("talk 1");
    await chat.has("#messages li", "w0 ");
    chat.close();
  });
}
