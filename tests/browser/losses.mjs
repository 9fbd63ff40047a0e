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

test("offline and back", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "obeying" });
  await page.send("talk 100 0.03");
  await page.has(".md", "w10 ");
  await context.setOffline(true);
  await page.tab.evaluate(() => window.dispatchEvent(new Event("offline")));
  await page.has(".banner", "You are offline");
  assert.equal(plain(await page.tab.locator(".banner .sp").innerText()), "You are offline. The answer goes on from what you see when you are back.");
  await page.has("#subtitle", "Answering…");
  await page.has(".step.break.end", "goes on");
  await page.send("talk 2");
  await page.tab.locator(".answer:has(.break) + .me", { hasText: "talk 2" }).waitFor();
  const banner = await page.tab.locator(".banner").boundingBox();
  assert.ok((await page.tab.locator(".bubble").first().boundingBox()).y >= banner.y + banner.height, "The banner lies on the first message.");
  await page.button("Remove").click();
  await context.setOffline(false);
  await page.idle();
  assert.deepEqual((await page.texts()).map(plain), [WORDS.slice(0, 100).join(" ")]);
});
