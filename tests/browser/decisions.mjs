// A card shows what is decided about, and what was decided.
import { action, answered, field, langchain, mail } from "./cards.mjs";
import { assert, chat, person, test } from "./site.mjs";

test("what was decided is told and can be changed until all is decided", async () => {
  const note = action("publish", { title: "A note" }, ["approve", "reject"]);
  const answer = await answered(langchain(mail, note), async (page) => {
    await page.button("Reject…").click();
    assert.ok(await field(page, "Why not?").evaluate((area) => area === document.activeElement));
    assert.equal(await page.button("Approve").count() + (await page.button("Reject…").count()), 0, "Two ways to decide stand side by side.");
    await page.button("Back").click();
    assert.ok(await page.button("Reject…").evaluate((button) => button === document.activeElement));
    await page.button("Reject…").click();
    await field(page, "Why not?").fill("Not to her.");
    await page.button("Reject").click();
    await page.has(".q .why", "Sent when both are decided.");
    await page.tab.getByRole("tab", { name: "1 send_mail rejected" }).click();
    await page.has(".verdict", "You decided: rejected Not to her.");
    assert.equal(await page.button("Approve").count(), 0);
    assert.ok(await field(page, "to", { exact: true }).isDisabled());
    assert.deepEqual(await page.axe(), []);
    await page.button("Change what you decided about send_mail").click();
    await page.gone(".verdict");
    await field(page, "copies").fill("2");
    await page.button("Approve with edits").click();
    await page.tab.getByRole("tab", { name: "1 send_mail approved with edits" }).waitFor();
    await page.button("Approve").click();
  });
  assert.deepEqual(answer.decisions.map(({ type }) => type), ["edit", "approve"]);
});

test("decisions that could not be sent are sent again", async () => {
  const page = await chat(await person(), { assistant: "asking" });
  await page.send(JSON.stringify(langchain(mail, action("pay", { sum: 1 }, ["approve", "reject"]))));
  await page.has(".q", "May I do these 2 things?");
  await page.tab.route("**/threads/*/commands", (route) => route.abort(), { times: 1 });
  await page.button("Approve").click();
  await page.button("Approve").click();
  await page.has(".q .why", "Not sent: The server cannot be reached.");
  await page.button("Send again").click();
  await page.has(".codebox", "approve");
  await page.done();
});

test("what is decided about is seen on a narrow screen: long values, and long choices", async () => {
  const body = `Dear Ada,\n\n${"word ".repeat(90)}the end.`;
  const page = await chat(await person({ width: 360, hasTouch: true }), { assistant: "asking" });
  await page.send(JSON.stringify(langchain(action("send_mail", { to: "ada.lovelace@department.example.com", body }, ["approve", "edit"]))));
  await page.has(".fold .peek", "Dear Ada, word word");
  const cut = ({ tab }) => tab.locator(".q :is(input, textarea, .b)").locator("visible=true").evaluateAll((all) => all.filter((each) => each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight).map((each) => each.value || each.textContent));
  assert.deepEqual(await cut(page), []);
  await page.tab.locator(".fold summary").click();
  await field(page, "body").fill("Short.");
  await page.tab.locator(".fold summary").click();
  await page.has(".fold .peek", "Short.");
  const other = await chat(page.tab.context(), { assistant: "asking" });
  await other.send(JSON.stringify({ question: "Which?\nThere is only one.", options: ["A choice that is much longer than a narrow screen is wide, with its reasons", "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung"] }));
  await other.has(".q .options");
  const ends = await other.tab.locator(".q, .q .options .b").evaluateAll((all) => all.map((each) => each.getBoundingClientRect().right));
  assert.ok(ends.slice(1).every((end) => end < ends[0]), `${ends}`);
  assert.deepEqual(await cut(other), []);
  await page.done();
  await other.done();
});

test("a secret is not shown, whatever its length", async () => {
  const secret = "swordfish ".repeat(40);
  const { request } = action("log_in", { user: "ada", token: secret }, []);
  const config = { action_name: "log_in", allowed_decisions: ["approve", "edit"], args_schema: { type: "object", properties: { token: { type: "string", format: "password" } } } };
  const answer = await answered({ action_requests: [request], review_configs: [config] }, async (page) => {
    assert.equal(await field(page, "token").getAttribute("type"), "password");
    await field(page, "token").fill("herring");
    assert.doesNotMatch(await page.tab.locator(".q").textContent(), /swordfish/);
    await page.button("Approve with edits").click();
  });
  assert.deepEqual(answer.decisions[0].edited_action.args, { user: "ada", token: "herring" });
});

test("plain questions are no actions, and their titles are said once", async () => {
  const page = await chat(await person(), { assistant: "asking" });
  await page.send(JSON.stringify({ question: "Which colour?", description: "Of the **door**.", hint: { deep: [{ deeper: "blue" }] } }));
  await page.has(".q header", "Which colour?");
  await page.has(".q .md strong", "door");
  await page.has(".q .asked", "blue");
  assert.doesNotMatch(await page.tab.locator(".q .asked").innerText(), /question|Which colour|description/);
  await page.fresh("obeying");
  await page.send("poll");
  await page.has(".q header", "2 questions wait for you");
  await page.has(".q .asked-what", /^(tea|milk)/);
  assert.equal(await page.tab.locator(".q .asked").count(), 0);
  await page.done();
});
