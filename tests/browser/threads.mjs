// The list of threads, actions on a thread, settings and keys.
import { readFile } from "node:fs/promises";
import { assert, chat, long, person, test, url, within } from "./site.mjs";

const entry = (page, title) => page.tab.locator("[data-thread]", { hasText: title });

async function menu(page, item) {
  await page.tab.getByRole("button", { name: "More about this thread" }).click();
  await page.tab.getByRole("menuitem", { name: item }).click();
}

test("a thread is named, found, pinned, archived and deleted, in all tabs", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "echo" });
  await page.ask("Something about herons");
  const other = await chat(context);
  await entry(other, "Something about herons").waitFor();
  await menu(page, "Rename…");
  await page.tab.locator("dialog").getByLabel("Title").fill("The heron file");
  await page.button("Save").click();
  await entry(other, "The heron file").waitFor();
  await page.has("#title", "heron file");
  await page.tab.locator("body").press("/");
  await page.tab.keyboard.type("heron f");
  assert.equal(await page.tab.locator("[data-thread]").count(), 1);
  await page.tab.locator("#find").fill("");
  await menu(page, "Pin");
  await other.tab.locator("h2", { hasText: "Pinned" }).waitFor();
  await menu(page, "Archive");
  await entry(other, "The heron file").waitFor({ state: "detached" });
  await other.button("Archive").click();
  await entry(other, "The heron file").waitFor();
  await menu(page, "Delete…");
  await page.button("Delete").click();
  await entry(other, "The heron file").waitFor({ state: "detached" });
  assert.equal(new URL(page.tab.url()).pathname, "/chat/");
  await page.done();
  await other.done();
});

test("a thread is found by its messages, which are shown", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("Tell me of <b>bitterns</b>.\n\nThey boom in the reeds at night, and 鳥は夜に鳴く.");
  await page.tab.locator("#new-thread").click();
  const found = async (words, snippet) => {
    await page.tab.locator("#find").fill(words);
    await entry(page, "bitterns").locator(".snippet mark", { hasText: snippet }).first().waitFor();
    assert.equal(await page.tab.locator("[data-thread]").count(), 1);
  };
  await found("REEDS boo", "reeds");
  await found("夜に", "夜に");
  assert.equal(await page.tab.locator(".snippet b").count(), 0);
  await page.tab.locator("#find").fill("reeds xyzzy");
  await page.has(".none", "Nothing is found for “reeds xyzzy”.");
  await page.tab.locator("#find").fill("x".repeat(300));
  await page.has("[role=alert]", "at most 256");
  assert.deepEqual(await page.axe(), []);
  await page.tab.locator("#find").fill("");
  await page.has("h2", "Today");
  await page.done();
});

test("what is in the archive is found too, and says where it is", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  const place = crypto.randomUUID().slice(0, 8);
  await page.ask(`The godwits leave ${place} in autumn`);
  await menu(page, "Archive");
  await entry(page, place).waitFor({ state: "detached" });
  const heading = async () => {
    await page.has(".snippet mark", place);
    assert.equal(await page.tab.locator("[data-thread]").count(), 1);
    return page.tab.locator("#threads h2").allInnerTexts();
  };
  await page.tab.locator("#find").fill(`godwits ${place}`);
  assert.deepEqual(await heading(), ["Archive"]);
  assert.equal(await page.tab.locator(".none").count(), 0);
  await page.button("Archive").click();
  assert.deepEqual(await heading(), ["Today"]);
  await menu(page, "Take out of the archive");
  await page.tab.locator("#threads h2", { hasText: "Not archived" }).waitFor();
  await page.done();
});

test("a thread that is deleted elsewhere says so", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("Not for long");
  await fetch(`${url}/threads/${page.thread}`, { method: "DELETE" });
  await page.has(".empty", "This thread is not here");
  assert.equal(await page.tab.locator("#title").innerText(), "No thread");
  assert.equal(await page.tab.locator(".head button:visible").count(), 0, "There is nothing to be done with it.");
});

test("a thread that was deleted while the page was away is not created again, and what was written to it is shown", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("Not for long");
  const { thread } = page;
  await page.tab.route("**/threads/*/commands", (route) => route.abort());
  await page.tab.context().setOffline(true);
  await page.tab.evaluate(() => window.dispatchEvent(new Event("offline")));
  await page.has(".banner", "You are offline");
  await page.send("To nobody");
  await page.has(".sending", "Sent when the connection is back.");
  await page.tab.fill("#message", "half written");
  await fetch(`${url}/threads/${thread}`, { method: "DELETE" });
  await page.tab.unroute("**/threads/*/commands");
  await page.tab.context().setOffline(false);
  await page.has(".empty", "This thread is not here");
  assert.deepEqual(await page.tab.locator(".empty .kept").allInnerTexts(), ["To nobody", "half written"]);
  assert.equal((await fetch(`${url}/threads/${thread}`)).status, 404);
  assert.deepEqual(await page.axe(), []);
});

test("a thread is exported as Markdown and JSON", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("weather Oslo");
  const save = async (item) => {
    const [file] = await Promise.all([page.tab.waitForEvent("download"), menu(page, item)]);
    return readFile(await file.path(), "utf8");
  };
  assert.match(await save("Export as Markdown"), /^# weather Oslo\n\n## You\n\nweather Oslo\n\n## Answer\n\nCalled `weather`[^]*## Tool weather[^]*sunny in Oslo/);
  assert.equal(JSON.parse(await save("Export as JSON")).values.messages[0].content, "weather Oslo");
});

test("the assistant is remembered with its thread", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "echo" });
  await page.ask("Who answers?");
  const other = await chat(context, { assistant: "obeying" });
  await entry(other, "Who answers?").getByRole("link").click();
  await other.tab.getByRole("button", { name: "Assistant: echo" }).waitFor();
});

test("keys do what the list of keys says", async () => {
  const page = await chat(await person({ height: 500 }), { assistant: "echo" });
  await page.ask("Second thread of two");
  await page.fresh();
  await page.ask(`First thread\n\n${"One more line.\n\n".repeat(40)}`);
  const blur = () => page.tab.evaluate(() => document.activeElement.blur());
  await blur();
  await page.tab.locator(".logbox > :first-child").evaluate((log) => (log.scrollTop = 0));
  await page.button("To the newest").waitFor();
  await page.tab.keyboard.press("g");
  await page.button("To the newest").waitFor({ state: "hidden" });
  await blur();
  const place = () => page.tab.evaluate(() => [...document.querySelectorAll("[data-thread]")].findIndex((each) => each.querySelector("[aria-current=page]")));
  const reach = (wanted) => page.tab.waitForFunction((at) => [...document.querySelectorAll("[data-thread]")].findIndex((each) => each.querySelector("[aria-current=page]")) === at, wanted);
  const began = await place();
  await page.tab.keyboard.press("j");
  await reach(began + 1);
  await page.tab.keyboard.press("k");
  await reach(began);
  await page.tab.keyboard.press("j");
  await reach(began + 1);
  assert.equal(await page.tab.inputValue("#message"), "");
  await page.tab.keyboard.press("?");
  await page.has("dialog", "Search the threads");
  await page.tab.keyboard.press("Escape");
  await page.tab.keyboard.press("n");
  await page.has("h1", "What should I look into?");
  await page.tab.locator("body").evaluate(() => document.activeElement.blur());
  await page.tab.keyboard.press("/");
  assert.equal(await page.tab.evaluate(() => document.activeElement.id), "find");
  await page.tab.evaluate(() => document.activeElement.blur());
  await page.tab.keyboard.press("j");
  await page.tab.locator("[data-thread] [aria-current=page]").waitFor();
  await page.tab.evaluate(() => document.activeElement.blur());
  await page.tab.keyboard.press("m");
  assert.equal(await page.tab.evaluate(() => document.activeElement.id), "message");
});

test("what goes wrong or stays open at a thread does no harm to another", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("The first of them");
  const first = page.thread;
  // A deletion that fails leaves the thread as it was.
  await page.tab.route(`**/threads/${first}`, (route) => (route.request().method() === "DELETE" ? route.fulfill({ status: 503, json: { detail: "Later." } }) : route.continue()));
  await menu(page, "Delete…");
  await page.button("Delete").click();
  await page.has("#composer", "Later.");
  await page.ask("It still answers");
  await page.tab.unroute(`**/threads/${first}`);
  // A dialog closes with its thread.
  await page.fresh("echo");
  await page.ask("The second of them");
  await menu(page, "Rename…");
  await page.has("dialog");
  await page.tab.goBack();
  await page.gone("dialog");
  // The skip link moves the focus, and reads nothing anew.
  await page.tab.fill("#message", "half a sentence");
  const opened = page.requests.length;
  await page.tab.locator(".skip").focus();
  await page.tab.keyboard.press("Enter");
  await page.tab.waitForFunction(() => document.activeElement.id === "message");
  assert.equal(await page.tab.inputValue("#message"), "half a sentence");
  assert.deepEqual(page.requests.slice(opened).filter((each) => each.includes("/state") || each.includes("/position")), []);
  await page.done();
});

test("Escape leaves another field, and does not stop the answer", async () => {
  const page = await chat(await person(), { assistant: "telling" });
  await page.send("How do leases work?");
  await page.has(".stop");
  await page.tab.locator("#find").fill("x");
  await page.tab.keyboard.press("Escape");
  assert.equal(await page.tab.evaluate(() => document.activeElement === document.body), true);
  assert.equal(await page.tab.locator(".stop").isVisible(), true);
  await page.tab.locator("#message").focus();
  await page.tab.keyboard.press("Escape");
  await page.tab.waitForFunction(() => document.querySelector(".stop").hidden);
});

test("threads beyond the first page are reached, and pinned ones are always there", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  const made = await Promise.all(["Oldest and pinned", "Oldest"].map((title, place) => fetch(`${url}/threads`, { method: "POST", body: JSON.stringify({ metadata: { graph_id: "echo", title, renamed: true, pinned: place === 0, older: true } }) })));
  assert.deepEqual(made.map(({ status }) => status), [200, 200]);
  // The server as with many threads: those two are behind the first page.
  const filler = (place) => ({ thread_id: `00000000-0000-4000-8000-${String(place).padStart(12, "0")}`, status: "idle", metadata: { title: `Thread ${place}`, renamed: true }, created_at: new Date().toISOString(), state_updated_at: new Date().toISOString() });
  await page.tab.route("**/threads/search", async (route) => {
    const { limit, metadata = {} } = route.request().postDataJSON();
    const answer = await (await route.fetch()).json();
    if (metadata.pinned) return route.fulfill({ json: answer });
    const rest = answer.filter((each) => each.metadata.older);
    const all = [...Array.from({ length: 200 }, (_, place) => filler(place)), ...rest];
    return route.fulfill({ json: all.slice(0, limit) });
  });
  await page.tab.reload();
  await entry(page, "Oldest and pinned").waitFor();
  assert.equal(await page.tab.locator("[data-thread]").count(), 201);
  await page.button("Show older").click();
  await page.tab.waitForFunction(() => document.querySelectorAll("[data-thread]").length === 202);
  assert.equal(await page.button("Show older").count(), 0);
});

test("a graph names its thread in place of the first message", async () => {
  const page = await chat(await person(), { assistant: "titled" });
  await page.send("herons");
  await page.has("#title", "About herons");
  await entry(page, "About herons").waitFor();
});

test("settings are asked by the schema of the assistant, sent with each message, and kept with the thread", async () => {
  const page = await chat(await person(), { assistant: "configured" });
  const field = (label) => page.tab.locator("dialog").getByLabel(label, { exact: true });
  const answer = async () => JSON.parse(await page.tab.locator(".codebox code").last().innerText());
  await page.settings();
  await field("Words").fill("99");
  await page.button("Use these").click();
  await page.has("dialog [role=alert]", "50");
  await field("Words").fill("7");
  await field("Tone").selectOption("formal");
  await field("Sources").check();
  await page.tab.locator("dialog").getByLabel("Topics").fill("leases\nfences");
  await page.button("Use these").click();
  await page.gone("dialog");
  const chosen = { tone: "formal", words: 7, sources: true, topics: ["leases", "fences"] };
  await page.ask("first");
  assert.deepEqual(await answer(), chosen);
  await page.tab.reload();
  await page.has(".codebox");
  await page.settings();
  assert.equal(await field("Words").inputValue(), "7");
  await field("Words").fill("8");
  await page.button("Use these").click();
  await page.gone("dialog");
  await page.ask("second");
  assert.deepEqual(await answer(), { ...chosen, words: 8 });
  await page.fresh("configured");
  await page.ask("without");
  assert.deepEqual(await answer(), { tone: "plain", words: 5, sources: false, topics: [] });
  await page.done();
});

test("a thread of a thousand messages opens at once", async () => {
  const context = await person();
  await context.addInitScript(() => {
    const look = () => (document.querySelector(".log .md") ? (window.opened = performance.now()) : requestAnimationFrame(look));
    look();
  });
  const page = await chat(context, { thread: await long(1000, "echo") });
  await page.has(".md", "Answer 999");
  const took = await page.tab.evaluate(() => window.opened);
  assert.ok(took < within(4000), `It took ${took} ms.`);
  assert.ok(await page.tab.locator(".log").evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight < 80));
  await page.tab.waitForFunction(() => document.querySelectorAll(".bubble").length === 500);
  await page.done();
});
