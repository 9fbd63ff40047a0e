// What is written stays where it was written until it is sent.
import { assert, chat, person, test, url } from "./site.mjs";

const field = (page) => page.tab.locator("#message");
const open = (page, thread) => page.tab.locator(`[data-thread="${thread}"] a`).click();
const shows = (page, text) => page.tab.waitForFunction((wanted) => document.querySelector("#message").value === wanted, text);

/** Make the page read files only when it is told to. */
const hold = (page) => page.tab.evaluate(() => {
  const { text } = File.prototype;
  const held = new Promise((resolve) => (window.release = resolve));
  File.prototype.text = async function () {
    await held;
    return text.call(this);
  };
});

const add = (page, name) => page.tab.setInputFiles("input[type=file]", [{ name, mimeType: "text/plain", buffer: Buffer.from(`in ${name}`) }]);

test("a draft stays with its thread, with its files, and its text over a reload", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("one");
  const { thread } = page;
  await field(page).fill("half written");
  await add(page, "a.txt");
  await page.has(".chip", "a.txt");
  await page.fresh();
  await shows(page, "");
  assert.equal(await page.tab.locator(".chip").count(), 0);
  await field(page).fill("another");
  await open(page, thread);
  await shows(page, "half written");
  await page.has(".chip", "a.txt");
  await page.fresh();
  await shows(page, "another");
  await page.tab.goto(`${url}/chat/${thread}/`);
  await shows(page, "half written");
  await page.done();
});

test("a message waits for its files, and is not sent after another thread was opened", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("one");
  const { thread } = page;
  await hold(page);
  await add(page, "a.txt");
  await page.has(".chip", "Reading");
  await page.send("with a file");
  await page.fresh();
  await page.tab.evaluate(() => window.release());
  await open(page, thread);
  await page.has(".chip", "a.txt");
  await shows(page, "with a file");
  await hold(page);
  await add(page, "b.txt");
  await page.has(".chip", "Reading");
  await field(page).press("Enter");
  await field(page).press("Enter");
  await page.tab.evaluate(() => window.release());
  await page.has(".bubble", "b.txt");
  await page.idle();
  assert.equal((await page.said()).length, 2);
  assert.match((await page.said())[1], /with a file[^]*a\.txt[^]*b\.txt/);
  await page.done();
});

test("a thread begins once, and what could not be sent is put before what was written since", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  let made = 0, answer;
  const held = new Promise((resolve) => (answer = resolve));
  await page.tab.route("**/threads", async (route) => {
    if (!made++) return route.fulfill({ status: 429, json: { detail: "Too many threads." } });
    await held;
    await route.continue();
  });
  await page.send("one");
  await page.has("[role=alert]", "Not sent: Too many threads.");
  await shows(page, "one");
  await field(page).press("Enter");
  await page.send("two");
  await field(page).fill("three");
  answer();
  await page.has(".md", "two");
  await page.idle();
  assert.deepEqual(await page.said(), ["one", "two"]);
  assert.equal(made, 2);
  await shows(page, "three");
  await page.done();
});

test("a thread that has begun elsewhere does not come in the way, and gets its message", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("here");
  const { thread } = page;
  await page.fresh("echo");
  let answer;
  const held = new Promise((resolve) => (answer = resolve));
  await page.tab.route("**/threads", async (route) => {
    await held;
    await route.continue();
  });
  const asked = page.tab.waitForRequest("**/threads");
  await page.send("over there");
  await asked;
  await open(page, thread);
  await page.has(".bubble", "here");
  answer();
  await page.tab.locator(".threads li a", { hasText: "over there" }).click();
  await page.has(".md", "over there");
  assert.notEqual(page.thread, thread);
  assert.deepEqual(await page.said(), ["over there"]);
  await page.done();
});

test("a queued message is edited with its files, beside what is being written", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("talk 2000 0.02");
  await page.has(".md", "w1 ");
  await add(page, "a.txt");
  await page.has(".chip", "a.txt");
  await page.send("queued");
  await page.has(".tray", "queued");
  await field(page).fill("half written");
  await page.button("Edit the queued message").click();
  await shows(page, "queued\n\nhalf written");
  await page.has(".chip", "a.txt");
  await page.gone(".tray");
  await page.button("Stop").click();
  await page.done();
});

test("an edit stays in its form until it is on its way", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("old");
  await page.tab.locator(".me").getByRole("button", { name: "Edit" }).click();
  await page.tab.route("**/history", (route) => route.abort());
  await page.tab.getByLabel("The message as it should be").fill("new");
  await page.button("Send again").click();
  await page.has(".edit [role=alert]", "Not sent: The server cannot be reached.");
  await page.tab.unroute("**/history");
  await page.button("Send again").click();
  await page.has(".md", "new");
  assert.deepEqual(await page.said(), ["new"]);
  await page.done();
});

test("an edit that is cancelled while it is being sent is not sent, and leaves another one alone", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("old");
  const form = page.tab.getByLabel("The message as it should be");
  const begin = async (text) => {
    await page.tab.locator(".me").getByRole("button", { name: "Edit" }).click();
    await form.fill(text);
  };
  let answer;
  const held = new Promise((resolve) => (answer = resolve));
  await page.tab.route("**/history", async (route) => {
    await held;
    await route.continue();
  });
  for (const leave of [() => form.press("Escape"), () => page.button("Cancel").click()]) {
    await begin("no");
    const asked = page.tab.waitForRequest("**/history");
    await form.press("Enter");
    await asked;
    await leave();
    await form.waitFor({ state: "detached" });
  }
  await begin("new");
  const answered = Promise.all(["first", "second"].map(() => page.tab.waitForResponse("**/history")));
  answer();
  await answered;
  // What the answers bring about is done by then.
  await page.tab.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await form.inputValue(), "new");
  assert.deepEqual(await page.said(), ["old"]);
  await page.button("Send again").click();
  await page.has(".md", "new");
  assert.deepEqual(await page.said(), ["new"]);
  await page.done();
});

test("an edit far back in a thread stays when something else is sent", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("first");
  const messages = Array.from({ length: 60 }, (_, place) => ({ type: place % 2 ? "ai" : "human", content: `message ${place}` }));
  await fetch(`${url}/threads/${page.thread}/state`, { method: "POST", body: JSON.stringify({ values: { messages }, as_node: "node" }) });
  await page.tab.reload();
  await page.tab.locator(".me", { hasText: "first" }).getByRole("button", { name: "Edit" }).click();
  const form = page.tab.getByLabel("The message as it should be");
  await form.fill("written here");
  await page.send("last");
  await page.has(".md", "last");
  assert.equal(await form.inputValue(), "written here");
  await page.button("Send again").click();
  await page.has(".md", "written here");
  assert.deepEqual(await page.said(), ["written here"]);
  await page.done();
});

test("a card out of sight counts no time, and shows what was written on it if its question is answered meanwhile", async () => {
  const context = await person();
  await context.addInitScript(() => {
    window.clocks = new Set();
    const { setInterval: begin, clearInterval: end } = window;
    window.setInterval = (act, pause, ...all) => {
      const clock = begin(act, pause, ...all);
      // The list of threads has one too.
      if (pause === 15_000 && !String(act).includes("list")) window.clocks.add(clock);
      return clock;
    };
    window.clearInterval = (clock) => (window.clocks.delete(clock), end(clock));
  });
  const page = await chat(context, { assistant: "obeying" });
  const clocks = () => page.tab.evaluate(() => window.clocks.size);
  await page.send("ask");
  await page.has(".q");
  const { thread } = page;
  await page.tab.getByLabel("Your answer").fill("half written");
  assert.equal(await clocks(), 1);
  await page.fresh();
  assert.equal(await clocks(), 0);
  await open(page, thread);
  await page.has(".q");
  assert.equal(await page.tab.getByLabel("Your answer").inputValue(), "half written");
  assert.equal(await clocks(), 1);
  await page.fresh();
  const post = async (path, body) => (await fetch(`${url}/${path}`, { method: "POST", body: JSON.stringify(body) })).json();
  const [{ interrupts }] = await post("threads/search", { ids: [thread] });
  const [{ id }] = Object.values(interrupts).flat();
  const { result } = await post(`threads/${thread}/commands`, { id: 1, method: "input.respond", params: { interrupt_id: id, response: "yes" } });
  await fetch(`${url}/threads/${thread}/runs/${result.run_id}/join`);
  await open(page, thread);
  await page.has(".md", "You said yes.");
  await page.tab.locator(".q-over summary", { hasText: "Answered elsewhere" }).click();
  await page.has(".q-over .kept", "half written");
  assert.equal(await clocks(), 0);
  await page.done();
});

test("a file that is let go of beside the thread does not take the page's place", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  const prevented = await page.tab.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["x"], "x.txt", { type: "text/plain" }));
    return ["#side", "#main"].flatMap((place) => ["dragover", "drop"].map((type) => !document.querySelector(place).dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }))));
  });
  assert.deepEqual(prevented, [true, true, true, true]);
  await page.has(".chip", "x.txt");
  assert.equal(await page.tab.locator(".chip").count(), 1);
  await page.done();
});
