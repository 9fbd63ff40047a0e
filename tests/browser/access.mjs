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

test("a long name of an assistant leaves room for the title, and a refused file is an error on the first page", async () => {
  const context = await person({ width: 360, height: 800 });
  await context.route("**/assistants/search", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: (await response.json()).map((each) => ({ ...each, name: `${each.name} of the department of long names, which nobody shortens` })) });
  });
  const page = await chat(context, { assistant: "echo" });
  await page.has(".head-acts", "nobody shortens");
  assert.deepEqual(await look(page, "a long name"), []);
  await page.tab.setViewportSize({ width: 360, height: 800 });
  const { title, acts } = await page.tab.evaluate(() => ({ title: document.querySelector("#title").getBoundingClientRect().width, acts: document.querySelector("#head-acts").getBoundingClientRect().right }));
  assert.ok(title > 70 && acts <= 360, `The title has ${title} px, the buttons end at ${acts} px.`);
  const files = page.tab.locator("input[type=file]");
  await files.setInputFiles({ name: "tool.exe", mimeType: "application/octet-stream", buffer: Buffer.from("MZ") });
  await page.has(".empty [role=alert]", "tool.exe");
  const colour = (selector) => page.tab.locator(selector).evaluate((element) => getComputedStyle(element).color);
  assert.notEqual(await colour(".empty [role=alert]"), await colour(".empty > div > p"));
  await page.done();
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

test("without JavaScript a thread can be read", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("Words for everybody");
  const context = await person({ javaScriptEnabled: false });
  const tab = await context.newPage();
  await tab.goto(`${url}/chat/${page.thread}/`);
  await tab.getByText("Without JavaScript this page only shows the messages").waitFor();
  assert.equal(await tab.getByText("Words for everybody").count(), 3);
});

test("without JavaScript the chat shows nothing that needs it, and a way out", async () => {
  for (const width of [1280, 360]) {
    const context = await person({ width, height: 800, javaScriptEnabled: false });
    const tab = await context.newPage();
    await tab.goto(`${url}/chat/`);
    const notice = tab.locator("#stage h1");
    await notice.waitFor();
    assert.equal(await notice.innerText(), "This page needs JavaScript");
    assert.ok((await notice.boundingBox()).y > 200, "the notice stands in the middle");
    for (const dead of ["#threads", "#find", "#composer", ".skip", "#new-thread"]) assert.equal(await tab.locator(dead).isVisible(), false, dead);
    const acts = tab.getByRole("button").filter({ visible: true });
    assert.deepEqual(await acts.evaluateAll((buttons) => buttons.map((each) => each.getAttribute("aria-label"))), ["Log out"]);
  }
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

/** Record what readers of screens hear: the texts that live regions get. */
const hear = (page) => page.tab.evaluate(() => {
  window.heard = [];
  const LIVE = "[role=status], [role=alert]";
  const regions = (node) => [...(node.closest?.(LIVE) ? [node.closest(LIVE)] : []), ...(node.querySelectorAll?.(LIVE) ?? [])];
  new MutationObserver((changes) => {
    const changed = new Set(changes.flatMap(({ target, addedNodes }) => [...(target.closest?.(LIVE) ?? target.parentElement?.closest(LIVE) ? [(target.closest ? target : target.parentElement).closest(LIVE)] : []), ...[...addedNodes].flatMap(regions)]));
    window.heard.push(...[...changed].map((each) => each.textContent).filter(Boolean));
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
});
const heard = (page) => page.tab.evaluate(() => window.heard);

test("a connection that stays away is told once, and its button keeps the focus", async () => {
  const page = await cuttable();
  await page.ask("talk 1");
  await hear(page);
  await page.cut(4000);
  await page.has(".banner", "Trying again in");
  const again = page.button("Try now");
  await again.focus();
  for (let turn = 0; turn < 3; turn++) {
    await again.press("Enter");
    await page.has(".banner", "Trying again in");
  }
  assert.ok(await again.evaluate((button) => button === document.activeElement));
  assert.deepEqual((await heard(page)).filter((text) => !text.startsWith("Reading")), ["Connection lost."]);
  page.mend();
  await again.press("Enter");
  await page.has(".banner", "Connected again");
  assert.deepEqual(await heard(page), ["Connection lost.", "Connected again."]);
  await page.done();
});

test("a list that cannot be read is told once, and its button keeps the focus", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("Something to list");
  await hear(page);
  let asked = 0;
  const answered = () => page.tab.waitForFunction((count) => window.asked >= count, asked + 1);
  await page.tab.evaluate(() => (window.asked = 0));
  await page.tab.route("**/threads/search", async (route) => {
    if (!route.request().postDataJSON().sort_by) return route.continue();
    await route.fulfill({ status: 401, json: { detail: "Authentication is required." } });
    await page.tab.evaluate(() => window.asked++);
  });
  const look = () => page.tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await look();
  await page.has("#threads [role=alert]", "The list could not be read: Authentication is required.");
  const again = page.button("Try again");
  await again.focus();
  for (; asked < 6; asked += 2) {
    await look();
    await answered();
  }
  assert.ok(await again.evaluate((button) => button === document.activeElement));
  assert.deepEqual(await heard(page), ["You have been logged out elsewhere. Log in to go on.", "The list could not be read: Authentication is required."]);
  assert.deepEqual(await page.axe(), []);
  await page.tab.unroute("**/threads/search");
  await again.press("Enter");
  await page.gone("#threads [role=alert]");
  await page.tab.waitForFunction(() => document.activeElement.closest("[data-thread]"));
  await page.done();
});
