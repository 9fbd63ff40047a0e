// Accessibility: axe finds nothing in any state, light and dark, wide and narrow; and what else a reader of screens needs.
import { assert, chat, person, test, url } from "./site.mjs";

const QUESTION = JSON.stringify({ action_requests: [{ name: "send_mail", args: { to: "ada", copies: 1, text: "x ".repeat(300) } }, { name: "publish", args: {} }], review_configs: [] });
const MARKDOWN = "thinking: hm\n# Title\n\n[x](https://example.com) `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\n# comment\nx = 'text' + 1\n```";

/** Look at the state of a page in both themes and widths; returns what is wrong. */
async function look(page, name) {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.tab.emulateMedia({ colorScheme });
    for (const width of [1280, 360]) {
      await page.tab.setViewportSize({ width, height: 800 });
      found.push(...(await page.axe()).map((each) => `${name}, ${colorScheme}, ${width} px: ${each}`));
      const wide = await page.tab.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) found.push(`${name}: ${wide} px wide at ${width}`);
    }
  }
  await page.tab.setViewportSize({ width: 1280, height: 800 });
  return found;
}

/** A page whose websockets can be cut, and kept from coming back, with a close code. */
async function cuttable(options) {
  const context = await person(options);
  // Colours during a transition are intermediate.
  await context.addInitScript(() => addEventListener("DOMContentLoaded", () => document.documentElement.classList.add("still")));
  const open = new Set();
  let closed = null;
  await context.routeWebSocket(/\/stream\/events/, (socket) => {
    if (closed) return void socket.close({ code: closed });
    socket.connectToServer();
    open.add(socket);
  });
  const page = await chat(context, { assistant: "obeying" });
  page.cut = async (code) => {
    closed = code;
    for (const socket of open) await socket.close({ code }).catch(() => {});
    open.clear();
  };
  page.mend = () => (closed = null);
  return page;
}

test("axe finds nothing while things happen", async () => {
  const page = await cuttable();
  const found = await look(page, "empty");
  await page.tab.setViewportSize({ width: 360, height: 800 });
  await page.button("Threads").click();
  found.push(...(await page.axe()).map((each) => `the drawer: ${each}`));
  await page.tab.keyboard.press("Escape");
  await page.tab.setViewportSize({ width: 1280, height: 800 });
  await page.send("talk 2000 0.05");
  await page.has(".md", "w5 ");
  await page.send("talk 3");
  await page.has(".tray");
  found.push(...(await look(page, "streaming, with one that waits")));
  await page.cut(4000);
  await page.has(".banner", "Connection lost");
  found.push(...(await look(page, "connection lost")));
  await page.tab.context().setOffline(true);
  await page.tab.evaluate(() => window.dispatchEvent(new Event("offline")));
  await page.has(".banner", "You are offline");
  found.push(...(await look(page, "offline")));
  page.mend();
  await page.tab.context().setOffline(false);
  await page.has(".banner", "Connected again");
  await page.button("Stop").click();
  await page.has(".step", "Stopped");
  await page.has(".md", /^w0 w1 w2\s*$/);
  await page.idle();
  await page.ask("weather Oslo");
  await page.tab.locator(".card summary").first().click();
  await page.ask("fail");
  found.push(...(await look(page, "done: stopped, a tool, a failure")));
  await page.cut(4401);
  await page.has(".banner.err", "Log in");
  found.push(...(await look(page, "logged out")));
  assert.deepEqual(found, []);
});

test("axe finds nothing in what is at rest", async () => {
  const page = await cuttable();
  const found = [];
  await page.choose("echo");
  await page.ask(MARKDOWN);
  await page.has(".hljs-string");
  found.push(...(await look(page, "markdown")));
  await page.fresh("asking");
  await page.send(QUESTION);
  await page.has(".q");
  await page.tab.locator(".fold summary").first().click();
  await page.button("Reject…").first().click();
  found.push(...(await look(page, "a question")));
  await page.tab.evaluate(() => document.activeElement.blur());
  await page.tab.keyboard.press("?");
  await page.has("dialog");
  found.push(...(await look(page, "keys")));
  await page.tab.keyboard.press("Escape");
  await page.fresh("configured");
  await page.settings();
  found.push(...(await look(page, "settings")));
  await page.tab.keyboard.press("Escape");
  await page.fresh("deep");
  await page.ask("Write a note about leases.");
  await page.tab.locator(".artlink", { hasText: "lease-note.md" }).click();
  await page.has("#panel .md");
  found.push(...(await look(page, "a file")));
  await page.tab.goto(`${url}/chat/${crypto.randomUUID()}/`);
  await page.has(".empty", "not here");
  found.push(...(await look(page, "gone")));
  await page.tab.goto(`${url}/login/`);
  found.push(...(await look(page, "login")));
  assert.deepEqual(found, []);
});

test("a finished answer is announced once, and a question too", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.tab.evaluate(() => {
    window.said = [];
    new MutationObserver(() => window.said.push(document.querySelector("#announce").textContent)).observe(document.querySelector("#announce"), { childList: true });
  });
  await page.ask("talk 3");
  await page.send("ask");
  await page.has(".q");
  await page.tab.waitForFunction(() => window.said.length >= 2);
  assert.deepEqual(await page.tab.evaluate(() => window.said), ["Answer: w0 w1 w2", "A question waits: well?"]);
  assert.equal(await page.tab.evaluate(() => document.activeElement.id), "message");
});

test("nothing moves while an answer streams", async () => {
  const page = await chat(await person({ height: 700 }), { assistant: "echo" });
  await page.ask("A first one.");
  await page.tab.fill("#message", "# A title\n\nSome words, and then\n\n- a list\n- of things\n\n```python\nx = 1\n```\n\nand more. " + "More words. ".repeat(100));
  await page.tab.evaluate(() => new Promise((resolve) => {
    window.shifts = [];
    new PerformanceObserver((list) => window.shifts.push(...list.getEntries().filter(({ hadRecentInput }) => !hadRecentInput).map(({ value }) => value))).observe({ type: "layout-shift" });
    // What moves with the text in the field is people's own.
    requestAnimationFrame(() => requestAnimationFrame(resolve));
  }));
  await page.tab.locator("#message").press("Enter");
  await page.has(".md", "More words.");
  await page.idle();
  // Entries are told after the frame that moved.
  await page.tab.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const sum = (await page.tab.evaluate(() => window.shifts)).reduce((all, each) => all + each, 0);
  assert.ok(sum < 0.01, `It moved by ${sum}.`);
});

test("text from right to left stands on the right", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("שלום עולם");
  assert.equal(await page.tab.locator(".md").evaluate((element) => getComputedStyle(element).direction), "rtl");
});

test("the page of a language that is written from right to left is mirrored", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("talk 3");
  await page.send("ask");
  await page.has(".q");
  const left = (selector) => page.tab.locator(selector).first().evaluate((element) => element.getBoundingClientRect().left);
  assert.ok((await left("#side")) < (await left("#main")));
  const asker = await left(".bubble");
  await page.tab.evaluate(() => document.documentElement.setAttribute("dir", "rtl"));
  assert.ok((await left("#side")) > (await left("#main")), "the list of threads is on the right");
  assert.ok((await left(".bubble")) < asker, "people's messages are on the left");
  assert.deepEqual(await look(page, "mirrored"), []);
  await page.tab.setViewportSize({ width: 360, height: 800 });
  await page.button("Threads").click();
  await page.tab.waitForFunction(() => Math.round(document.querySelector("#side").getBoundingClientRect().right) === 360);
  assert.ok((await left("#side")) > 0, "the drawer comes from the right");
  await page.done();
});

test("on a phone no keyboard comes by itself, and a thread leads to a new one", async () => {
  const page = await chat(await person({ width: 360, height: 740, hasTouch: true }), { assistant: "obeying" });
  await page.ask("talk 3");
  await page.button("Threads").click();
  await page.tab.waitForFunction(() => document.activeElement.id === "close-side");
  await page.tab.fill("#find", "talk");
  await page.button("Clear the search").click();
  assert.equal(await page.tab.inputValue("#find"), "");
  await page.gone("#clear-find");
  await page.button("Close the list of threads").click();
  await page.gone("#side");
  await page.fresh();
  assert.equal(await page.tab.getByRole("link", { name: "New thread" }).count(), 0, "Where a thread begins, nothing leads to it.");
  await page.done();
});

test("without JavaScript a thread can be read", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("Words for everybody");
  const context = await person({ javaScriptEnabled: false });
  const tab = await context.newPage();
  await tab.goto(`${url}/chat/${page.thread}/`);
  await tab.getByText("Without JavaScript this page only shows the messages").waitFor();
  assert.equal(await tab.getByText("Words for everybody").count(), 3);
});

test("the API's document is as dark as the other pages", async () => {
  const context = await person({ theme: "dark" });
  const tab = await context.newPage();
  const ground = () => tab.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await tab.goto(`${url}/docs`);
  await tab.locator(".swagger-ui .info .title").waitFor();
  assert.equal(await ground(), "rgb(28, 32, 34)");
  await tab.emulateMedia({ colorScheme: "light" });
  await tab.waitForFunction(() => getComputedStyle(document.documentElement).backgroundColor !== "rgb(28, 32, 34)");
  await tab.evaluate(() => localStorage.setItem("theme", "dark"));
  await tab.reload();
  await tab.locator(".swagger-ui .info .title").waitFor();
  assert.equal(await ground(), "rgb(28, 32, 34)", "as chosen on the chat page");
  assert.deepEqual(await tab.evaluate(() => window.violations), []);
});
