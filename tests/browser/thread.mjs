// An answer on the page: it streams, is stopped, continues after a reload and beside another tab, and waits in the queue.
import { assert, chat, person, plain, test, url, within } from "./site.mjs";

const WORDS = (count) => Array.from({ length: count }, (_, place) => `w${place}`).join(" ");

test("an answer streams, and is the state's in the end", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("talk 40 0.02");
  await page.has(".md.growing");
  await page.idle();
  assert.deepEqual((await page.texts()).map(plain), [WORDS(40)]);
  assert.deepEqual(await page.said(), ["talk 40 0.02"]);
  assert.match(await page.tab.title(), /talk 40/);
  await page.done();
});

test("the first word is there at once", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.tab.evaluate(() => {
    const Socket = window.WebSocket;
    window.WebSocket = class extends Socket {
      constructor(...all) {
        super(...all);
        this.addEventListener("message", ({ data }) => {
          if (data.includes('"text-delta"')) window.first ??= performance.now();
        });
      }
    };
    new MutationObserver(() => {
      if (document.querySelector(".turn .md")?.textContent) window.shown ??= performance.now();
    }).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  await page.ask("talk 5 0.05");
  const late = await page.tab.evaluate(() => window.shown - window.first);
  // `make traces` holds the goal of 100 ms; here other tests share the processors.
  assert.ok(late < within(1000), `The first word was shown ${late} ms after its event.`);
});

test("a reload in mid-answer shows the same and goes on", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("talk 120 0.03");
  await page.has(".md", "w20 ");
  const before = plain((await page.texts()).join(" "));
  await page.tab.reload();
  await page.has(".md", "w20 ");
  assert.ok(plain((await page.texts()).join(" ")).startsWith(before));
  await page.idle();
  assert.deepEqual((await page.texts()).map(plain), [WORDS(120)]);
  await page.done();
});

test("two tabs are in step", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "obeying" });
  await page.send("talk 2000 0.03");
  await page.has(".md", "w5 ");
  const other = await chat(context, { thread: page.thread });
  await other.has(".md.growing", "w10 ");
  await other.button("Stop").click();
  await page.has(".step", "Stopped");
  await other.has(".step", "Stopped");
  await Promise.all([page.idle(), other.idle()]);
  const [text] = (await page.texts()).map(plain);
  assert.deepEqual((await other.texts()).map(plain), [text]);
  await other.ask("talk 3");
  await page.tab.locator(".bubble", { hasText: "talk 3" }).waitFor();
  await page.has(".md", /^w0 w1 w2\s*$/);
  await page.idle();
  assert.deepEqual((await page.texts()).map(plain), [text, WORDS(3)]);
  await page.done();
  await other.done();
});

test("stop ends the answer, and what was shown stays", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("talk 2000 0.03");
  await page.has(".md", "w10 ");
  const begun = Date.now();
  await page.tab.locator("#message").press("Escape");
  await page.tab.locator(".stop").waitFor({ state: "hidden" });
  assert.ok(Date.now() - begun < within(4000), `It took ${Date.now() - begun} ms.`);
  await page.has(".step", "Stopped");
  const [text] = (await page.texts()).map(plain);
  assert.ok(text.startsWith(WORDS(10)) && WORDS(2000).startsWith(text));
  await page.ask("talk 2");
  assert.deepEqual((await page.texts()).map(plain), [text, WORDS(2)]);
  await page.tab.reload();
  await page.has(".md", "w1");
  await page.has(".step", "Stopped");
  assert.deepEqual((await page.texts()).map(plain), [text, WORDS(2)]);
  await page.done();
});

test("what is sent meanwhile waits, is seen in both tabs, and can be taken back", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "obeying" });
  await page.send("talk 2000 0.03");
  await page.has(".md", "w5 ");
  await page.send("talk 2");
  await page.send("talk 3");
  await page.tab.locator(".tray").nth(1).waitFor();
  const other = await chat(context, { thread: page.thread });
  await other.tab.locator(".tray", { hasText: "talk 2" }).getByRole("button", { name: "Remove" }).click();
  await page.tab.waitForFunction(() => document.querySelectorAll(".tray").length === 1);
  await page.button("Stop").click();
  await page.has(".md", /^w0 w1 w2\s*$/);
  await page.idle();
  assert.equal((await page.texts()).map(plain).at(-1), WORDS(3));
  assert.deepEqual(await page.said(), ["talk 2000 0.03", "talk 3"]);
  await page.done();
});

test("a message is refused during the answer, or interrupts it", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  const busy = async (strategy) => {
    await page.tab.getByRole("button", { name: /^If busy/ }).click();
    await page.tab.getByRole("menuitemradio", { name: strategy }).click();
  };
  await page.send("talk 2000 0.03");
  await page.has(".md", "w5 ");
  await busy(/^Refuse/);
  await page.send("talk 4");
  await page.has(".sending", "Not sent");
  await busy(/^Interrupt/);
  await page.button("Retry").click();
  await page.tab.locator(".bubble", { hasText: /^talk 4$/ }).waitFor();
  await page.idle();
  const texts = (await page.texts()).map(plain);
  assert.equal(texts.at(-1), WORDS(4));
  assert.deepEqual(await page.said(), ["talk 2000 0.03", "talk 4"]);
});

test("tools and subgraphs are cards, and a failure says why", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("weather Oslo");
  const card = page.tab.locator(".card", { hasText: "weather" });
  await card.locator("summary").click();
  await card.getByText("sunny in Oslo").waitFor();
  assert.match(await card.innerText(), /Done[^]*Oslo[^]*sunny in Oslo/);
  await page.send("delegate 4");
  // What it has said is the thread's own.
  await page.has(".note", "team");
  await page.has(".md", /^w0 w1 w2 w3\s*$/);
  await page.ask("fail");
  await page.has(".problem", "kaboom");
  assert.equal(await page.button("Copy the answer").count(), 2, "There is nothing to copy after a failure.");
  await page.button("Try again").click();
  await page.tab.locator(".me").last().getByText("2 / 2").waitFor();
  await page.idle();
  await page.button("Try again").waitFor();
  await page.done();
});

test("it follows what is added only from the end of the log", async () => {
  const page = await chat(await person({ height: 500 }), { assistant: "echo" });
  await page.ask(Array.from({ length: 60 }, (_, place) => `Paragraph ${place}.`).join("\n\n"));
  const log = page.tab.locator(".log");
  assert.ok(await log.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 5));
  await log.evaluate((element) => element.scrollTo(0, 100));
  await page.button("To the newest").waitFor();
  await page.send("Something else.");
  await page.idle();
  await log.evaluate((element) => element.scrollTo(0, 100));
  await page.button("To the newest").click();
  await page.tab.waitForFunction(() => document.querySelector(".newest").hidden);
});

test("whoever may look into runs is led from an answer to its run", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("talk 2");
  assert.equal(await page.tab.locator(".run-link:visible").count(), 0);
  await page.tab.goto(`${url}/login/`);
  await page.tab.getByLabel("Username").fill("ada");
  await page.tab.getByLabel("Password").fill("a good password");
  await page.button("Log in").click();
  await page.tab.locator("#message").waitFor();
  await page.choose("obeying");
  await page.ask("talk 2");
  await page.ask("fail");
  await page.tab.reload();
  await page.tab.locator(".run-link").nth(1).waitFor();
  const [first, second] = await page.tab.locator(".run-link").evaluateAll((links) => links.map(({ href }) => href));
  assert.notEqual(first, second);
  await page.tab.locator(".run-link").last().click();
  await page.tab.getByText("kaboom").first().waitFor();
  assert.equal(page.tab.url(), second);
});
