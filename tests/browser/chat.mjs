// Users' actions on a chat page, through all stock hooks in parallel.
import { another, assert, open, PATIENCE, scenario, url, V2 } from "./harness.mjs";

/** Check the page's states over time: never less than before, and at least this many different ones. */
function assertGrew(seen, least) {
  for (const [place, shown] of seen.entries()) {
    if (place) assert.ok(shown.startsWith(seen[place - 1]) || shown.includes(seen[place - 1]), JSON.stringify(seen));
  }
  assert.ok(seen.length >= least, JSON.stringify(seen));
}

const words = (count) => Array.from({ length: count }, (_, place) => `w${place} `).join("");
const steps = (count) => Array.from({ length: count }, (_, place) => `step ${place + 1}`);

scenario("an answer streams, and a second one after it", async (hook) => {
  const chat = await open(hook);
  await chat.send("talk 8 0.2");
  await chat.shows(["talk 8 0.2", words(8)]);
  assertGrew(await chat.seen(), 6);
  await chat.send("talk 1");
  await chat.shows(["talk 8 0.2", words(8), "talk 1", "w0 "]);
  chat.done();
});

scenario("a tool is called, with arguments that come in pieces", async (hook) => {
  const chat = await open(hook);
  await chat.send("weather Bern 0.1");
  await chat.shows(["weather Bern 0.1", "", "sunny in Bern", "It is sunny in Bern."]);
  await chat.has("#tools li", /weather {"place":"Bern"} .*sunny in Bern/);
  const calls = await chat.calls();
  assert.equal(calls.at(-1), '[{"place":"Bern"}]');
  // The v2 hook shows a call's arguments once they are complete.
  if (hook.hook === "legacy") assert.ok(calls.includes('[{"place":"Be"}]'), JSON.stringify(calls));
  chat.done();
});

scenario("a question is asked, and answered", async (hook) => {
  const chat = await open(hook);
  await chat.send("ask");
  await chat.has(".question", "well?");
  await chat.idle();
  await chat.answer("yes");
  await chat.shows(["ask", "You said yes."]);
  assert.deepEqual(await chat.questions(), []);
  chat.done();
});

scenario("several questions are answered at once", async (hook) => {
  const chat = await open(hook);
  await chat.send("poll");
  await chat.has(".question", "tea?");
  await chat.has(".question", "milk?");
  await chat.idle();
  await chat.answer("no,yes");
  await chat.shows(["poll", "tea: yes", "milk: no"]);
  assert.deepEqual(await chat.questions(), []);
  chat.done();
});

scenario("a question is still there after a reload", async (hook) => {
  const chat = await open(hook);
  await chat.send("ask");
  await chat.has(".question", "well?");
  await chat.tab.reload();
  await chat.has(".question", "well?");
  await chat.answer("later");
  await chat.shows(["ask", "You said later."]);
  chat.done();
});

scenario("a subgraph's answer streams, and that of a subgraph within a subgraph", async (hook) => {
  const chat = await open(hook);
  await chat.send("delegate 3");
  await chat.shows(["delegate 3", "w0 w1 w2 "]);
  if (hook.hook === "v2") await chat.has("#subgraphs .subgraph", "team: ");
  await chat.send("nest 6 0.05");
  await chat.shows(["delegate 3", "w0 w1 w2 ", "nest 6 0.05", words(6)]);
  if (hook.hook === "v2") {
    for (const inner of ["firm", "team"]) await chat.has("#subgraphs .subgraph", new RegExp(`^${inner}: .*nest 6 0.05${words(6)}$`));
  } else {
    assertGrew(await chat.seen(), 10);
  }
  chat.done();
});

scenario("a failure is shown, and the thread goes on", async (hook) => {
  const chat = await open(hook);
  await chat.send("fail");
  await chat.has("#error", "kaboom");
  await chat.idle();
  await chat.send("talk 1");
  await chat.shows(["fail", "talk 1", "w0 "]);
  chat.done();
});

scenario("a run is stopped, and the thread goes on", async (hook) => {
  const chat = await open(hook);
  await chat.send("march 100 0.1");
  await chat.has("#messages li", "step 2");
  await chat.stop();
  await chat.idle();
  await chat.send("talk 1");
  await chat.has("#messages li", "w0 ");
  await chat.idle();
  const texts = await chat.texts();
  assert.ok(texts.length < 100, "The run was not stopped.");
  assert.deepEqual(texts.slice(-2), ["talk 1", "w0 "]);
  chat.done();
});

scenario("a conversation branches where it was", async (hook) => {
  const chat = await open(hook);
  await chat.send("talk 1");
  await chat.shows(["talk 1", "w0 "]);
  await chat.send("talk 2");
  await chat.shows(["talk 1", "w0 ", "talk 2", "w0 w1 "]);
  // In the SDK of `@langchain/react`, all messages have the same fork checkpoint (docs/reference/compatibility.md).
  if (hook.hook === "v2") assert.equal(new Set(await chat.parents()).size, 1);
  // An earlier message is edited, then an answer is regenerated.
  await chat.fork(3, "talk 3");
  const edited = ["talk 1", "w0 ", "talk 3", "w0 w1 w2 "];
  await chat.shows(edited);
  await chat.again(4);
  await branched(chat, ["talk 2: w0 w1 ", "talk 3: w0 w1 w2 ", "talk 3: w0 w1 w2 "]);
  await chat.shows(edited);
  await chat.tab.reload();
  await chat.shows(edited);
  // The v2 hook has no branches: a page forks and reads them by its client.
  if (hook.hook === "legacy") {
    await chat.show(3, 1);
    await chat.shows(["talk 1", "w0 ", "talk 2", "w0 w1 "]);
    await chat.show(3, 2);
    await chat.shows(edited);
    await chat.show(4, 1);
    await chat.shows(edited);
    // A message on a shown branch goes to that branch; then the hook shows the newest branch.
    await chat.show(3, 1);
    await chat.send("talk 4");
    await branched(chat, ["talk 3: w0 w1 w2 ", "talk 3: w0 w1 w2 ", `talk 4: ${words(4)}`]);
    await chat.shows(edited);
    await chat.show(3, 1);
    await chat.shows(["talk 1", "w0 ", "talk 2", "w0 w1 ", "talk 4", words(4)]);
  }
  chat.done();
});

/** Wait until a conversation's branches end like this, in order. */
async function branched(chat, expected) {
  let found;
  for (const end = Date.now() + PATIENCE; Date.now() < end; await chat.tab.waitForTimeout(50)) {
    const answer = await fetch(`${url}/threads/${chat.thread()}/history`, { method: "POST", body: JSON.stringify({ limit: 100 }) });
    const states = await answer.json();
    const parents = new Set(states.map((state) => state.parent_checkpoint?.checkpoint_id));
    const leaves = states.filter(({ checkpoint }) => !parents.has(checkpoint.checkpoint_id));
    found = leaves.map(({ values }) => values.messages.slice(-2).map(({ content }) => content).join(": ")).sort();
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
  }
  assert.deepEqual(found, expected);
}

scenario("a reload in the middle joins the run again", async (hook) => {
  const chat = await open(hook);
  await chat.send("march 8 0.15");
  await chat.has("#messages li", "step 2");
  await chat.tab.reload();
  await chat.has("#messages li", "step 4");
  await chat.shows(["march 8 0.15", ...steps(8)]);
  await chat.send("talk 12 0.15");
  await chat.has("#messages li", "w2 ");
  await chat.tab.reload();
  await chat.has("#messages li", "w4 ");
  await chat.shows(["march 8 0.15", ...steps(8), "talk 12 0.15", words(12)]);
  chat.done();
});

scenario(
  "two tabs look at one thread, and the second answers what the first was asked",
  async (hook) => {
    const first = await open(hook);
    await first.send("talk 12 0.15");
    await first.has("#messages li", "w0 ");
    const second = await another(hook, { thread: first.thread() });
    await second.has("#messages li", "w4 ");
    await second.shows(["talk 12 0.15", words(12)]);
    await first.shows(["talk 12 0.15", words(12)]);
    await first.send("ask");
    await first.has(".question", "well?");
    // The hook follows other clients until the end of a run, then waits for its own page.
    await second.tab.reload();
    await second.has(".question", "well?");
    await second.answer("second");
    await second.shows(["talk 12 0.15", words(12), "ask", "You said second."]);
    await first.tab.reload();
    await first.shows(["talk 12 0.15", words(12), "ask", "You said second."]);
    for (const chat of [second, first]) chat.done();
    await second.tab.close();
  },
  V2,
);
