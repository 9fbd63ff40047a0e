// Versions of a message: regenerated or edited, picked, kept over a reload, continued.
import { assert, chat, fault, person, plain, test, url } from "./site.mjs";

async function edit(page, place, text) {
  await page.tab.locator(".me").nth(place).getByRole("button", { name: "Edit" }).click();
  await page.tab.getByLabel("The message as it should be").fill(text);
  await page.button("Send again").click();
  await page.tab.locator(".bubble", { hasText: text }).waitFor();
  await page.idle();
  // The runs are listed again once the answer is complete.
  await page.tab.locator(".pick .num").locator("visible=true").first().waitFor();
}

const picks = (page) => page.tab.locator(".pick .num").locator("visible=true").allInnerTexts();
const pick = (page, place, name) => page.tab.locator(".me").nth(place).getByRole("button", { name }).click();

test("the first message and a later one are edited, picked and gone on from", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("one");
  await page.ask("two");
  await edit(page, 1, "two again");
  assert.deepEqual(await page.said(), ["one", "two again"]);
  assert.deepEqual(await picks(page), ["2 / 2"]);
  await edit(page, 0, "first again");
  assert.deepEqual(await page.said(), ["first again"]);
  assert.deepEqual(await picks(page), ["2 / 2"]);
  await pick(page, 0, "Previous version");
  await page.has(".bubble", "two again");
  assert.deepEqual(await picks(page), ["1 / 2", "2 / 2"]);
  await pick(page, 1, "Previous version");
  await page.tab.locator(".bubble", { hasText: /^two$/ }).waitFor();
  await page.tab.reload();
  await page.tab.locator(".bubble", { hasText: /^two$/ }).waitFor();
  assert.deepEqual(await page.said(), ["one", "two"]);
  await page.send("three");
  await page.tab.locator(".bubble", { hasText: "three" }).waitFor();
  await page.idle();
  assert.deepEqual(await page.said(), ["one", "two", "three"]);
  assert.deepEqual((await page.texts()).map(plain), ["one", "two", "three"]);
  assert.deepEqual((await page.state()).map(plain), ["one", "two", "three"]);
  await page.done();
});

test("what is made at an older version is what a reload shows", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("one");
  await edit(page, 0, "two");
  await pick(page, 0, "Previous version");
  await page.tab.waitForFunction(() => location.search.startsWith("?at="));
  await edit(page, 0, "three");
  assert.deepEqual(await picks(page), ["3 / 3"]);
  assert.equal(new URL(page.tab.url()).search, "");
  await page.tab.reload();
  await page.tab.locator(".pick .num", { hasText: "3 / 3" }).locator("visible=true").waitFor();
  assert.deepEqual(await page.said(), ["three"]);
  await page.done();
});

test("an answer is given again, as another version", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("once more");
  await page.button("Answer again").click();
  await page.tab.waitForFunction(() => document.querySelector(".pick .num")?.textContent === "2 / 2");
  await page.idle();
  assert.deepEqual((await page.texts()).map(plain), ["once more"]);
  assert.equal((await page.state()).length, 1);
});

test("the last message is edited with the arrow from an empty field", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("old");
  // Its versions are read after the run's end.
  await page.tab.locator(".me").getByRole("button", { name: "Edit" }).waitFor();
  await page.tab.locator("#message").press("ArrowUp");
  await page.tab.getByLabel("The message as it should be").fill("new");
  await page.tab.keyboard.press("Enter");
  await page.tab.locator(".md", { hasText: "new" }).waitFor();
  assert.deepEqual(await page.said(), ["new"]);
});

test("messages of other clients have versions too, also those that waited for each other", async () => {
  const post = async (path, body) => (await fetch(`${url}/${path}`, { method: "POST", body: JSON.stringify(body) })).json();
  const { thread_id: thread } = await post("threads", { metadata: { graph_id: "echo" } });
  const say = (content) => post(`threads/${thread}/runs`, { assistant_id: "echo", input: { messages: [{ role: "user", content }] }, multitask_strategy: "enqueue" });
  const runs = [await say("one"), await say("two"), await say("one")];
  await fetch(`${url}/threads/${thread}/runs/${runs.at(-1).run_id}/join`);
  const page = await chat(await person(), { thread });
  await page.has(".md", "two");
  await page.idle();
  await page.tab.locator(".me").nth(1).getByRole("button", { name: "Edit" }).waitFor();
  await edit(page, 1, "two again");
  assert.deepEqual(await page.said(), ["one", "two again"]);
  assert.deepEqual(await picks(page), ["2 / 2"]);
  await pick(page, 1, "Previous version");
  await page.tab.locator(".bubble", { hasText: /^two$/ }).waitFor();
  assert.deepEqual(await page.said(), ["one", "two", "one"]);
  await page.done();
});

test("a message is edited also if 250 runs have followed it", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("one");
  await page.ask("two");
  await fault("fill", page.thread);
  await page.tab.reload();
  await page.has(".bubble", "two");
  await edit(page, 1, "two again");
  assert.deepEqual(await picks(page), ["2 / 2"]);
  await edit(page, 0, "one again");
  await pick(page, 0, "Previous version");
  await page.has(".bubble", "two again");
  assert.deepEqual(await picks(page), ["1 / 2", "2 / 2"]);
  assert.equal(page.requests.filter((each) => each.includes("runs/?before=")).length, 1);
  await page.done();
});
