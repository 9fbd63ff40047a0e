// What people send arrives, once and in their order, or says why not and stays.
import { assert, chat, person, plain, test, url } from "./site.mjs";

const COMMANDS = "**/threads/*/commands";
const runsOf = async (page) => (await fetch(`${url}/threads/${page.thread}/runs`)).json();
const mine = (page, text) => page.tab.locator(".me", { hasText: text });

test("messages that are sent quickly are no versions of each other, and an edit of the last keeps the first", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("talk 400 0.02");
  await page.has(".md", "w1 ");
  await page.send("talk 2");
  await page.send("talk 3");
  await page.tab.locator(".tray").nth(1).waitFor();
  await page.button("Stop").click();
  await page.has(".md", /^w0 w1 w2\s*$/);
  await page.idle();
  await mine(page, "talk 3").getByRole("button", { name: "Edit" }).click();
  assert.equal(await page.tab.locator(".pick:visible").count(), 0);
  await page.tab.getByLabel("The message as it should be").fill("talk 4");
  await page.button("Send again").click();
  await page.has(".md", /^w0 w1 w2 w3\s*$/);
  await page.idle();
  assert.deepEqual(await page.said(), ["talk 400 0.02", "talk 2", "talk 4"]);
  await page.tab.locator(".pick .num").locator("visible=true").first().waitFor();
  assert.deepEqual(await page.tab.locator(".pick .num").locator("visible=true").allInnerTexts(), ["2 / 2"]);
  await page.done();
});

test("a message whose answer was lost is sent once", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("talk 1");
  let lost = 0;
  await page.tab.route(COMMANDS, async (route) => {
    if (lost++) return route.continue();
    await route.fetch();
    await route.abort();
  });
  await page.send("talk 2");
  await page.has(".md", /^w0 w1\s*$/);
  await page.idle();
  await page.gone(".sending:not(:empty)");
  assert.deepEqual(await page.said(), ["talk 1", "talk 2"]);
  assert.equal((await runsOf(page)).length, 2);
  await page.done();
});

test("what only the request could not reach is sent by itself, while the socket stays", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("talk 1");
  let failed = 0;
  await page.tab.route(COMMANDS, (route) => (failed++ ? route.continue() : route.abort()));
  await page.send("talk 2");
  await page.has(".sending", "Sent when the connection is back");
  await page.has(".md", /^w0 w1\s*$/);
  assert.equal(failed, 2);
  await page.done();
});

test("a message with a large picture stays over a reload, and is sent once", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("one");
  await page.tab.route(COMMANDS, (route) => route.abort());
  await page.send("two");
  await page.tab.setInputFiles("input[type=file]", [{ name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(3_990_000, "noise") }]);
  await page.has(".chip", "large.png");
  await page.send("three");
  await mine(page, "three").locator(".sending", { hasText: /^Sent when the connection is back\.$/ }).waitFor();
  await page.tab.reload();
  await mine(page, "three").locator("img").waitFor();
  await mine(page, "three").locator(".sending", { hasText: /^Sent when the connection is back\.$/ }).waitFor();
  await page.tab.unroute(COMMANDS);
  await mine(page, "three").locator(".sending:empty").waitFor({ state: "attached" });
  await page.idle();
  assert.deepEqual((await page.said()).map(plain), ["one", "two", "three"]);
  const { values } = await (await fetch(`${url}/threads/${page.thread}/state`)).json();
  const sent = values.messages.filter(({ type }) => type === "human").map(({ content }) => (typeof content === "string" ? content : content.map((block) => block.text ?? block.image_url.url.length)));
  assert.deepEqual(sent, ["one", "two", ["three", 5_320_022]]);
  await page.tab.waitForFunction(() => new Promise((resolve) => {
    indexedDB.open("chat").onsuccess = ({ target: { result: database } }) => {
      database.transaction("unsent").objectStore("unsent").count().onsuccess = ({ target }) => (database.close(), resolve(target.result === 0));
    };
  }));
  await page.done();
});

test("a refused message stays over another thread and a reload, and is sent again, edited or removed", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("talk 1");
  await page.tab.route(COMMANDS, (route) => route.fulfill({ status: 429, json: { detail: "Too many runs." } }));
  for (const text of ["talk 2", "talk 3", "talk 4"]) await page.send(text);
  await mine(page, "talk 4").locator(".sending", { hasText: "Not sent: Too many runs." }).waitFor();
  assert.deepEqual(await page.axe(), []);
  const { thread } = page;
  await page.fresh();
  await page.tab.locator(`[data-thread="${thread}"] a`).click();
  await mine(page, "talk 4").getByText("Not sent").waitFor();
  await page.tab.reload();
  await mine(page, "talk 2").getByRole("button", { name: "Remove" }).click();
  await mine(page, "talk 2").waitFor({ state: "detached" });
  await page.tab.unroute(COMMANDS);
  await mine(page, "talk 3").getByRole("button", { name: "Retry" }).click();
  await page.has(".md", /^w0 w1 w2\s*$/);
  await page.idle();
  await mine(page, "talk 4").getByRole("button", { name: "Edit" }).click();
  await page.tab.getByLabel("The message as it should be").fill("talk 5");
  await page.button("Send again").click();
  await page.has(".md", /^w0 w1 w2 w3 w4\s*$/);
  await page.idle();
  assert.deepEqual(await page.said(), ["talk 1", "talk 3", "talk 5"]);
  assert.deepEqual((await page.state()).map(plain), ["w0", "w0 w1 w2", "w0 w1 w2 w3 w4"]);
  await page.done();
});

/** The Enter that confirms composed text: Chromium tells it within the composition, Safari after it with the code 229. */
const confirm = (field, how) => field.evaluate((element, more) => element.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...more })), how);

test("the Enter that confirms Japanese or Chinese text sends nothing, and the next one does", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  const field = page.tab.locator("#message");
  await field.fill("鳥は夜に鳴く");
  for (const how of [{ isComposing: true }, { keyCode: 229 }]) assert.ok(await confirm(field, how), "the browser does its own");
  assert.equal(await page.tab.locator(".bubble").count(), 0);
  await field.press("Enter");
  await page.has(".md", "鳥は夜に鳴く");
  await page.idle();
  await mine(page, "鳥").getByRole("button", { name: "Edit" }).click();
  const edited = page.tab.getByLabel("The message as it should be");
  await edited.fill("蛙");
  for (const how of [{ isComposing: true }, { keyCode: 229 }, { key: "Escape", keyCode: 229 }]) assert.ok(await confirm(edited, how));
  assert.equal(await edited.inputValue(), "蛙");
  await edited.press("Enter");
  await page.has(".md", "蛙");
  assert.deepEqual(await page.said(), ["蛙"]);
  await page.done();
});
