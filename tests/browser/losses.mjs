// The server is killed during an answer, and the text continues, without repeated or lost words.
import { afterEach } from "node:test";
import { assert, chat, fault, person, plain, test, url } from "./site.mjs";
import { agrees, check, steps, watch, words } from "./words.mjs";

// A test that failed early leaves the next one without a server.
afterEach(() => fetch(`${url}/ok`).catch(() => fault("start")));

const COUNT = 150;
const WORDS = words(COUNT);

test("after a kill in mid-answer the text goes on", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "obeying" });
  await page.send(`talk ${COUNT} 0.03`);
  await page.has(".md", "w0 ");
  await watch(page);
  await page.has(".md", "w30 ");
  await fault("kill");
  await page.has(".banner", "Connection lost");
  await page.has(".step.break", "goes on");
  await fault("start");
  await page.has(".banner", "Connected again");
  await page.idle();
  await check(page, WORDS);
  await agrees(page, [WORDS.join(" ")]);
  await page.has(".step.break", "The server stopped");
  // A page that opens later shows the same.
  const later = await chat(context, { thread: page.thread });
  await later.has(".step.break", "The server stopped");
  assert.deepEqual((await later.texts()).map(plain), [WORDS.join(" ")]);
  await page.done();
});

test("after a drain the run goes on with its next step", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("march 30 0.2");
  await page.has(".md", "step 3");
  await fault("stop");
  await page.has(".banner", "The server restarts");
  await fault("start");
  await page.has(".md", "step 30");
  await page.idle();
  assert.deepEqual((await page.texts()).map(plain), steps(30));
  await page.has(".step.break", "The server stopped");
  await page.done();
});

test("what is sent without a connection is sent once it is back", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("talk 2");
  await fault("kill");
  await page.has(".banner", "Connection lost");
  await page.send("talk 4");
  await page.has(".sending", "when the connection is back");
  await fault("start");
  await page.has(".md", "w3");
  await page.idle();
  assert.deepEqual(await page.said(), ["talk 2", "talk 4"]);
  assert.equal((await page.state()).length, 2);
  await page.done();
});

/** The page through a line that the test can break: what is on it then is lost, as on a train. */
async function onLine() {
  const context = await person();
  const page = await chat(context, { assistant: "obeying", origin: process.env.LINE_URL });
  await page.send(`talk ${COUNT} 0.03`);
  await page.has(".md", "w10 ");
  await watch(page);
  await page.tab.fill("#message", "talk 2");
  await fault("silence");
  return { context, page };
}

/** The line is back: the answer is whole, and so is what was being written. */
async function whole(page) {
  await page.has(".banner", "Connected again");
  await page.idle();
  await check(page, WORDS);
  assert.equal(await page.tab.inputValue("#message"), "talk 2");
  await page.tab.locator("#message").press("Enter");
  await page.has(".md", /^w0 w1\s*$/);
  await page.idle();
  await agrees(page, [WORDS.join(" "), "w0 w1"]);
  await page.done();
}

test("the line falls silent and breaks in mid-answer, and comes back", async () => {
  const { page } = await onLine();
  // What the server says now never arrives.
  await page.tab.waitForTimeout(500);
  await fault("cut");
  await page.has(".banner", "Connection lost");
  assert.ok(plain((await page.texts()).join(" ")).length < WORDS.join(" ").length);
  await page.has(".step.break", "goes on");
  await fault("heal");
  await whole(page);
});

test("offline and back: the browser says so, and the line is dead", async () => {
  const { context, page } = await onLine();
  await context.setOffline(true);
  await page.has(".banner", "You are offline");
  await fault("cut");
  await context.setOffline(false);
  await page.has(".banner", "Trying again");
  await fault("heal");
  await whole(page);
});
