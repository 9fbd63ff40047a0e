// An interrupt of any form becomes a card, and its answer has the form that the graph expects.
import { action, answered, field, langchain, mail, shared } from "./cards.mjs";
import { assert, chat, person, test } from "./site.mjs";

test("LangChain's actions are approved", async () => {
  const answer = await answered(langchain(mail), (page) => page.button("Approve").click());
  assert.deepEqual(answer, { decisions: [{ type: "approve" }] });
});

test("LangChain's actions are edited in a form", async () => {
  const answer = await answered(langchain(mail), async (page) => {
    await field(page, "to", { exact: true }).fill("bob@example.com");
    await field(page, "copies").fill("3");
    await field(page, "urgent").check();
    await page.button("Undo edits").click();
    assert.equal(await field(page, "copies").inputValue(), "1");
    await field(page, "copies").fill("2");
    await page.button("Approve with edits").click();
  });
  assert.deepEqual(answer, { decisions: [{ type: "edit", edited_action: { name: "send_mail", args: { to: "ada@example.com", copies: 2, urgent: false } } }] });
});

test("LangChain's actions are rejected with a reason", async () => {
  const answer = await answered(langchain(mail), async (page) => {
    await page.button("Reject…").click();
    await page.button("Reject").click();
    await page.has("[role=alert]", "Write a sentence");
    await field(page, "Why not?").fill("Not now.");
    await page.button("Reject").click();
  });
  assert.deepEqual(answer, { decisions: [{ type: "reject", message: "Not now." }] });
});

const HARD = { cc: null, subject: "", to: [" a b ", "two\nlines", ""], body: "one\r\ntwo", nested: { deep: [1, null, { x: "" }] }, ids: ["a", "b"], many: [] };

test("arguments that nobody touched are approved, or stay as they are beside an edited one", async () => {
  const hard = action("send_mail", HARD, ["approve", "edit", "reject"]);
  assert.deepEqual(await answered(langchain(hard), (page) => page.button("Approve").click()), { decisions: [{ type: "approve" }] });
  const edited = await answered(langchain(hard), async (page) => {
    await field(page, "cc").fill("{");
    await field(page, "subject").pressSequentially("Hello");
    assert.ok(await field(page, "subject").evaluate((input) => input === document.activeElement));
    await page.button("Approve with edits").click();
    await page.has("[role=alert]", "This is no JSON");
    assert.ok(await field(page, "cc").evaluate((input) => input === document.activeElement));
    await field(page, "cc").fill("null");
    await page.button("Approve with edits").click();
  });
  assert.deepEqual(edited, { decisions: [{ type: "edit", edited_action: { name: "send_mail", args: { ...HARD, subject: "Hello" } } }] });
});

test("where an action may only be edited, its unchanged arguments are sent", async () => {
  const answer = await answered(langchain(action("send_mail", HARD, ["edit", "reject"])), async (page) => {
    assert.equal(await page.button("Approve").count(), 0);
    await page.button("Send unchanged").click();
  });
  assert.deepEqual(answer, { decisions: [{ type: "edit", edited_action: { name: "send_mail", args: HARD } }] });
  const ask = [{ action_request: { action: "book", args: { nights: 2 } }, config: { allow_accept: false, allow_edit: true, allow_respond: false, allow_ignore: false } }];
  assert.deepEqual(await answered(ask, (page) => page.button("Send unchanged").click()), [{ type: "edit", args: { action: "book", args: { nights: 2 } } }]);
});

test("several actions are decided together", async () => {
  const note = action("publish", { title: "A note" }, ["approve", "reject"]);
  const answer = await answered(langchain(mail, note), async (page) => {
    await page.button("Approve").click();
    const next = page.tab.getByRole("tab", { name: /2 publish/ });
    assert.equal(await next.getAttribute("aria-selected"), "true");
    assert.ok(await next.evaluate((tab) => tab === document.activeElement));
    await page.button("Reject…").click();
    await field(page, "Why not?").fill("Too early.");
    await page.button("Reject").click();
  });
  assert.deepEqual(answer, { decisions: [{ type: "approve" }, { type: "reject", message: "Too early." }] });
  assert.equal(await (await shared).tab.evaluate(() => document.activeElement.id), "message");
});

test("agent-inbox's form is answered in its own", async () => {
  const config = { allow_accept: true, allow_edit: true, allow_respond: true, allow_ignore: true };
  const ask = [{ action_request: { action: "book", args: { nights: 2 } }, config, description: "A room" }];
  assert.deepEqual(await answered(ask, (page) => page.button("Approve").click()), [{ type: "accept", args: null }]);
  assert.deepEqual(await answered(ask, (page) => page.button("Ignore").click()), [{ type: "ignore", args: null }]);
  const told = await answered(ask, async (page) => {
    await page.button("Answer…").click();
    await field(page, "What should the agent know?").fill("By the sea.");
    await page.button("Send the answer").click();
  });
  assert.deepEqual(told, [{ type: "response", args: "By the sea." }]);
  const edited = await answered(ask, async (page) => {
    await field(page, "nights").fill("5");
    await page.button("Approve with edits").click();
  });
  assert.deepEqual(edited, [{ type: "edit", args: { action: "book", args: { nights: 5 } } }]);
});

test("a question with options is answered by one of them", async () => {
  assert.equal(await answered({ question: "Which?", options: ["tea", "milk"] }, (page) => page.button("milk").click()), "milk");
});

test("a schema becomes a form", async () => {
  const schema = { type: "object", required: ["name"], properties: { name: { type: "string" }, size: { enum: ["s", "m"] }, count: { type: "integer", minimum: 1 }, tags: { type: "array", items: { type: "string" } } } };
  const answer = await answered({ question: "Order?", schema }, async (page) => {
    await page.button("Send the answer").click();
    await page.has(".q .f:has(label:text-is('name')) [role=alert]");
    assert.ok(await field(page, "name").evaluate((input) => input === document.activeElement && document.getElementById(input.getAttribute("aria-describedby")).matches("[role=alert]")));
    await field(page, "name").fill("Ada");
    assert.equal(await page.tab.locator(".q [role=alert]").count(), 0);
    assert.equal(await field(page, "name").getAttribute("aria-describedby"), null);
    await field(page, "size").selectOption("m");
    await field(page, "count").fill("3");
    await field(page, "tags").fill("a\nb");
    await page.button("Send the answer").click();
  });
  assert.deepEqual(answer, { name: "Ada", size: "m", count: 3, tags: ["a", "b"] });
});

test("anything else is shown as it is, and answered by a text or JSON", async () => {
  const answer = await answered({ odd: [1, { two: 2 }] }, async (page) => {
    assert.match(await page.tab.locator(".asked").innerText(), /odd/);
    await field(page, "Your answer").fill('{"a": 1}');
    await field(page, "It is JSON").check();
    await page.button("Send the answer").click();
  });
  assert.deepEqual(answer, { a: 1 });
});

test("two interrupts are answered at once, each with its own", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("poll");
  await page.has(".q");
  const topics = await page.tab.getByRole("tab").allInnerTexts();
  for (const topic of topics) {
    await field(page, "Your answer").fill(topic.includes("tea") ? "one" : "two");
    await page.button("Send the answer").click();
  }
  await page.gone(".q");
  await page.idle();
  assert.deepEqual((await page.state()).sort(), ["milk: two", "tea: one"]);
  await page.done();
});

test("a question that was answered in one tab is gone in the other, which keeps what was written there", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "obeying" });
  await page.send("ask");
  await page.has(".q");
  const other = await chat(context, { thread: page.thread });
  await other.has(".q", "well?");
  await field(other, "Your answer").fill("half written");
  await field(page, "Your answer").fill("yes");
  await page.button("Send the answer").click();
  await other.gone(".q");
  await other.has(".md", "You said yes.");
  await other.tab.locator(".q-over summary", { hasText: "Answered elsewhere" }).click();
  await other.has(".q-over .kept", "half written");
  assert.deepEqual(await other.axe(), []);
  await other.button("Remove").click();
  await other.gone(".q-over");
  await page.done();
  await other.done();
});

test("a question stands again if its answer was taken back, and its answer is sent once", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("ask");
  await page.has(".q");
  const keys = [];
  let asked = 0;
  await page.tab.route("**/threads/*/commands", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    asked += 1;
    if (asked === 1) await route.abort();
    // A run that nobody knows any more.
    else if (asked === 2) await route.fulfill({ json: { type: "success", id: 1, result: { run_id: crypto.randomUUID() } } });
    else await route.continue();
  });
  await field(page, "Your answer").fill("yes");
  await page.button("Send the answer").click();
  await page.has(".q .why", "Not sent: The server cannot be reached.");
  await page.button("Send the answer").click();
  await page.has(".q .why", "Your answer was taken back");
  assert.equal(await field(page, "Your answer").inputValue(), "yes");
  await page.button("Send the answer").click();
  await page.has(".md", "You said yes.");
  assert.equal(keys[0], keys[1]);
  assert.notEqual(keys[1], keys[2]);
  await page.gone(".q");
  assert.equal(await page.tab.locator(".q-over").count(), 0);
  await page.done();
});

test("what is written on a card stays there while another thread is open", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.send("ask");
  await page.has(".q");
  const { thread } = page;
  await field(page, "Your answer").fill("half written");
  await page.fresh();
  await page.tab.locator(`[data-thread="${thread}"] a`).click();
  await page.has(".q");
  assert.equal(await field(page, "Your answer").inputValue(), "half written");
  await page.button("Send the answer").click();
  await page.has(".md", "You said half written.");
  await page.done();
});

test("what is written on a card is kept over a reload", async () => {
  const page = await chat(await person(), { assistant: "asking" });
  await page.send(JSON.stringify(langchain(mail, action("pay", { sum: 1 }, ["approve", "reject"]))));
  await page.has(".q");
  await field(page, "to", { exact: true }).fill("bob@example.com");
  await field(page, "urgent").check();
  await page.tab.getByRole("tab", { name: /pay/ }).click();
  await page.button("Reject…").click();
  await field(page, "Why not?").fill("Not now.");
  await page.tab.reload();
  await page.has(".q");
  assert.equal(await field(page, "to", { exact: true }).inputValue(), "bob@example.com");
  assert.ok(await field(page, "urgent").isChecked());
  await page.button("Approve with edits").click();
  assert.equal(await field(page, "Why not?").inputValue(), "Not now.");
  await page.button("Reject").click();
  await page.has(".codebox");
  assert.deepEqual(JSON.parse(await page.tab.locator(".codebox code").innerText()).decisions, [
    { type: "edit", edited_action: { name: "send_mail", args: { to: "bob@example.com", copies: 1, urgent: true } } },
    { type: "reject", message: "Not now." },
  ]);
  assert.equal(await page.tab.evaluate(() => Object.keys(sessionStorage).filter((name) => name.includes(" card ")).length), 0);
  await page.done();
});

test("what is written while a question waits is no answer to it", async () => {
  const page = await chat(await person(), { assistant: "asking" });
  await page.send('{"question": "Which?", "options": ["tea"]}');
  await page.has(".q", "Which?");
  await page.send('{"question": "Rather?", "options": ["milk"]}');
  await page.has(".q", "Rather?");
  await page.button("milk").click();
  await page.has(".codebox", "milk");
  await page.idle();
  assert.equal((await page.said()).length, 2);
  assert.deepEqual(await page.state(), ['```json\n"milk"\n```']);
  await page.done();
});

test("the demo agent's draft is edited and published", async () => {
  const page = await chat(await person(), { assistant: "agent" });
  await page.send("How do leases find a dead worker?");
  await page.has(".q");
  assert.equal(await page.tab.locator(".card", { hasText: "research" }).count(), 3);
  await page.button("Approve").click();
  await page.has(".md", "Sources");
  await page.idle();
  await page.has(".plan", "All done");
  await page.done();
});

test("a browser whose clock is wrong does not say how long a question has waited by it", async () => {
  const context = await person();
  await context.addInitScript(() => {
    const { now } = Date;
    Date.now = () => now() + 600_000;
  });
  const page = await chat(context, { assistant: "asking" });
  await page.send(JSON.stringify(langchain(mail)));
  await page.has(".q");
  assert.doesNotMatch(await page.tab.locator(".q-h .num").innerText(), /min/);
  await page.tab.reload();
  await page.has(".q");
  assert.doesNotMatch(await page.tab.locator(".q-h .num").innerText(), /min/);
  await page.done();
});
