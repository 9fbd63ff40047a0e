// Accessibility: axe finds nothing in any state, light and dark, wide and narrow; and what else a reader of screens needs.
import { assert, chat, long, person, test, url } from "./site.mjs";

const QUESTION = { action_requests: [{ name: "send_mail", args: { to: "ada", copies: 1, text: "x ".repeat(300) } }, { name: "publish", args: {} }], review_configs: [] };
const FORM = { type: "object", title: "A booking", required: ["room"], properties: { room: { type: "string", enum: ["Blue", "Green"] }, nights: { type: "integer", description: "How long." }, late: { type: "boolean" }, notes: { type: "array", items: { type: "string" } } } };
const MARKDOWN = "thinking: hm\n# Title\n\n[x](https://example.com) `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\n# comment\nx = 'text' + 1\n```";

/** The rules about colours, which are all that a theme changes. */
const COLOURS = ["color-contrast", "link-in-text-block"];

/** Look at the state of a page in both themes, and in these widths; returns what is wrong. */
async function look(page, name, widths = [1280, 360]) {
  const found = [];
  for (const width of widths) {
    await page.tab.setViewportSize({ width, height: 800 });
    for (const colorScheme of ["light", "dark"]) {
      await page.tab.emulateMedia({ colorScheme });
      found.push(...(await page.axe(colorScheme === "dark" ? COLOURS : undefined)).map((each) => `${name}, ${colorScheme}, ${width} px: ${each}`));
    }
    const wide = await page.tab.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) found.push(`${name}: ${wide} px wide at ${width}`);
  }
  await page.tab.setViewportSize({ width: 1280, height: 800 });
  await page.tab.emulateMedia({ colorScheme: "light" });
  return found;
}

/** The list of threads where it is a drawer. */
async function drawer(page, name) {
  await page.tab.setViewportSize({ width: 360, height: 800 });
  await page.button("Threads").click();
  const found = await look(page, name, [360]);
  await page.tab.keyboard.press("Escape");
  return found;
}

/** Open a thread's menu, and choose an item of it. */
async function menu(page, item) {
  await page.button("More about this thread").click();
  if (item) await page.tab.getByRole("menuitem", { name: item }).click();
}

/** A page whose websockets can be cut, and kept from coming back, with a close code. */
async function cuttable(options) {
  const context = await person(options);
  // Colours during a transition are intermediate.
  await context.addInitScript(() => addEventListener("DOMContentLoaded", () => document.documentElement.classList.add("still")));
  // A few threads are as good as all of those that other tests have left, and are looked through more quickly.
  await context.route("**/threads/search", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: (await response.json()).slice(0, 5) });
  });
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
  found.push(...(await drawer(page, "the drawer")));
  await page.send("talk 2000 0.05");
  await page.has(".md", "w5 ");
  await page.send("talk 3");
  await page.has(".tray");
  await page.tab.getByRole("button", { name: /^If busy/ }).click();
  found.push(...(await look(page, "streaming, with one that waits, and the menu of what becomes of it")));
  await page.tab.keyboard.press("Escape");
  await page.cut(4000);
  await page.has(".banner", "Connection lost");
  found.push(...(await look(page, "connection lost")));
  await page.tab.context().setOffline(true);
  await page.tab.evaluate(() => window.dispatchEvent(new Event("offline")));
  await page.has(".banner", "You are offline");
  await page.send("talk 1");
  await page.has(".sending", "when the connection is back");
  found.push(...(await look(page, "offline, with a message that is not sent")));
  await page.button("Remove", { exact: true }).last().click();
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
  await page.tab.route("**/threads/*/commands", (route) => route.fulfill({ status: 429, json: { detail: "Too many runs." } }));
  await page.send("talk 2");
  await page.has(".sending", "Not sent: Too many runs.");
  await page.tab.locator(".me", { hasText: "weather Oslo" }).getByRole("button", { name: "Edit" }).click();
  found.push(...(await look(page, "done: stopped, a tool, a failure, a refused message, and the form of an edit")));
  await page.cut(4401);
  await page.has(".banner.err", "Log in");
  found.push(...(await look(page, "logged out")));
  assert.deepEqual(found, []);
});

test("axe finds nothing in messages, versions and files", async () => {
  const page = await cuttable();
  const found = [];
  await page.choose("echo");
  await page.ask(MARKDOWN);
  await page.has(".hljs-string");
  await page.tab.locator(".fold summary").first().click();
  found.push(...(await look(page, "markdown, and an open thought")));
  await page.tab.locator(".me").getByRole("button", { name: "Edit" }).click();
  await page.tab.getByLabel("The message as it should be").fill("Another version");
  await page.button("Send again").click();
  await page.has(".md", "Another version");
  await page.idle();
  await page.button("Previous version").click();
  await page.has("#subtitle", "An older version");
  await menu(page);
  found.push(...(await look(page, "an older version, and a thread's menu")));
  await page.tab.getByRole("menuitem", { name: "Rename…" }).click();
  found.push(...(await look(page, "the dialog of a name")));
  await page.button("Cancel").click();
  await menu(page, "Archive");
  await menu(page, "Delete…");
  found.push(...(await look(page, "the dialog before a removal")));
  await page.button("Cancel").click();
  await page.button("Archive").click();
  await page.has("[data-thread]", "thinking");
  found.push(...(await look(page, "the archive", [1280])), ...(await drawer(page, "the archive in the drawer")));
  await page.button("Archive").click();
  await page.fresh("deep");
  await page.ask("Write a note about leases.");
  await page.tab.locator(".artlink", { hasText: "lease-note.md" }).click();
  await page.has("#panel .md");
  found.push(...(await look(page, "a file")));
  assert.deepEqual(found, []);
});

test("axe finds nothing in questions, dialogs and menus", async () => {
  const page = await cuttable();
  const found = [];
  const ask = async (question) => {
    await page.fresh("asking");
    await page.send(JSON.stringify(question));
    await page.has(".q");
  };
  await ask(QUESTION);
  await page.tab.locator(".fold summary").first().click();
  await page.button("Reject…").first().click();
  found.push(...(await look(page, "a question about actions")));
  await page.tab.evaluate(() => document.activeElement.blur());
  await page.tab.keyboard.press("?");
  await page.has("dialog");
  found.push(...(await look(page, "keys")));
  await page.tab.keyboard.press("Escape");
  await ask({ question: "Which way?", options: ["Left", "Right"] });
  await page.tab.getByRole("button", { name: /^Assistant/ }).click();
  found.push(...(await look(page, "a choice, and the menu of assistants")));
  await page.tab.keyboard.press("Escape");
  await ask(FORM);
  await page.tab.locator("#theme").click();
  found.push(...(await look(page, "a form, and the menu of themes")));
  await page.tab.keyboard.press("Escape");
  await ask({ anything: [1, { deep: null }] });
  await page.tab.getByLabel("It is JSON").check();
  await page.tab.getByLabel("Your answer").fill("{");
  await page.button("Send the answer").click();
  await page.has(".q [role=alert]", "no JSON");
  found.push(...(await look(page, "any question, and an answer that is wrong")));
  await page.fresh("configured");
  await page.settings();
  found.push(...(await look(page, "settings")));
  assert.deepEqual(found, []);
});

test("axe finds nothing in a thread that is loading, broken or gone, and around the chat", async () => {
  const page = await cuttable();
  const found = [];
  await page.choose("echo");
  await page.ask("Words");
  const { thread } = page;
  let answer;
  await page.tab.route("**/threads/*/state", (route) => new Promise((resolve) => (answer = () => resolve(route.fulfill({ status: 500, json: { detail: "The disk is full." } })))));
  await page.tab.reload();
  await page.has("#stage", "Loading the thread…");
  found.push(...(await look(page, "loading")));
  answer();
  await page.has(".empty", "The disk is full.");
  await page.tab.unroute("**/threads/*/state");
  found.push(...(await look(page, "could not be read")));
  await page.tab.goto(`${url}/chat/${crypto.randomUUID()}/`);
  await page.has(".empty", "not here");
  found.push(...(await look(page, "gone")));
  await page.tab.goto(`${url}/chat/${thread}/plain/`);
  await page.has("body", "Without JavaScript");
  found.push(...(await look(page, "without JavaScript")));
  await page.tab.goto(`${url}/login/`);
  await page.login("wrong");
  await page.has("body", "correct username and password");
  found.push(...(await look(page, "login, refused")));
  await page.login();
  await page.tab.locator("#message").waitFor();
  for (const [path, name] of [["password/", "password"], ["password/changed/", "password changed"]]) {
    await page.tab.goto(`${url}/${path}`);
    found.push(...(await look(page, name)));
  }
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

/** Send without a key or a click, after which a browser excuses what moves; wait until the answer is complete. */
async function sendSoftly(page, text) {
  const before = await page.tab.locator(".bubble").count();
  await page.tab.evaluate((words) => {
    const field = document.querySelector("#message");
    field.value = words;
    field.dispatchEvent(new Event("input"));
    field.form.requestSubmit();
  }, text);
  await page.tab.waitForFunction((count) => document.querySelectorAll(".bubble").length > count, before);
  await page.idle();
}

for (const width of [1280, 360]) {
  test(`nothing moves while answers stream, tools open, questions come and a thread opens: ${width} px`, async () => {
    const context = await person({ height: 700, width });
    await context.addInitScript(() => {
      window.shifts = [];
      const rect = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join();
      const told = ({ node, previousRect, currentRect }) => `${node?.nodeName} ${node?.textContent?.slice(0, 30)} ${rect(previousRect)} → ${rect(currentRect)}`;
      const keep = ({ value, hadRecentInput, sources }) => hadRecentInput || window.shifts.push({ value, sources: sources.map(told) });
      window.moves = new PerformanceObserver((list) => list.getEntries().forEach(keep));
      window.moves.observe({ type: "layout-shift", buffered: true });
    });
    const page = await chat(context, { assistant: "echo" });
    const still = async (name) => {
      // Entries are told after the frame that moved.
      const shifts = await page.tab.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(window.shifts.splice(0))))));
      assert.deepEqual(shifts, [], `While ${name}`);
    };
    await still("the page opens");
    await page.ask("A first one.");
    // People's own: the field moves from the middle of the page to its end.
    await page.tab.evaluate(() => window.shifts.splice(0));
    await sendSoftly(page, `thinking: hm and hm\n# A title\n\nSome words, and then\n\n- a list\n- of things\n\n\`\`\`python\nx = 1\n\`\`\`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nand more. ${"More words. ".repeat(60)}`);
    await still("an answer streams");
    await page.tab.evaluate(() => document.querySelector("#new-thread").click());
    await page.choose("obeying");
    await page.ask("talk 3");
    await page.tab.evaluate(() => window.shifts.splice(0));
    await sendSoftly(page, "weather Oslo");
    await sendSoftly(page, "march 3 0.05");
    await sendSoftly(page, "delegate 20");
    await sendSoftly(page, "fail");
    await still("tools, steps, a subgraph and a failure come");
    await sendSoftly(page, "ask");
    await still("a question comes");
    await page.tab.goto(`${url}/chat/${await long(100, "obeying")}/`);
    await page.tab.waitForFunction(() => document.querySelectorAll(".bubble").length === 50);
    await page.has(".md", "Answer 99");
    await still("a thread opens");
    await page.done();
  });
}

test("for whoever wants little motion nothing is animated", async () => {
  const page = await chat(await person({ reducedMotion: "reduce", width: 360, height: 600 }), { assistant: "obeying" });
  const moving = () => page.tab.evaluate(() => document.getAnimations().map(({ animationName, transitionProperty, effect }) => `${animationName ?? transitionProperty} of ${effect.target.className}`));
  const still = async (name) => assert.deepEqual(await moving(), [], name);
  await page.button("Threads").click();
  await still("the drawer");
  await page.tab.keyboard.press("Escape");
  await page.ask("talk 600");
  await page.send("talk 2000 0.02");
  await page.has(".md.growing", "w5 ");
  await still("an answer that grows");
  await page.tab.locator(".log").evaluate((log) => log.scrollTo(0, 0));
  await page.button("To the newest").click();
  const left = await page.tab.locator(".log").evaluate((log) => new Promise((resolve) => requestAnimationFrame(() => resolve(log.scrollHeight - log.scrollTop - log.clientHeight))));
  assert.ok(left < 60, `It is ${left} px from the end in the next frame.`);
  await page.send("weather Oslo 1");
  await page.has(".tray");
  await page.button("Stop").click();
  await page.has(".card", "Running");
  await still("a tool that runs");
  await page.button("More about this thread").click();
  await page.has("[role=menu]");
  await still("a menu");
  await page.tab.keyboard.press("Escape");
  await page.tab.route("**/threads/*/state", () => {});
  await page.tab.reload();
  await page.has("#stage", "Loading the thread…");
  await still("a thread that loads");
  await page.tab.emulateMedia({ reducedMotion: "no-preference" });
  await page.tab.waitForFunction(() => document.getAnimations().length > 0);
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
