// A login in another tab makes the browser's session another user's: a page of the first user does nothing for the second one.
import { assert, chat, person, test, url } from "./site.mjs";

const login = async (context, path, next) => {
  const tab = await context.newPage();
  await tab.goto(`${url}${path}?next=${encodeURIComponent(next)}`);
  await tab.fill("[name=username]", "ada");
  await tab.fill("[name=password]", "a good password");
  await tab.keyboard.press("Enter");
  await tab.waitForURL(({ pathname }) => pathname === next);
  return tab;
};

/** The titles of the threads of whoever is logged in. */
const titles = (tab) => tab.evaluate(async () => {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const answer = await fetch("/threads/search", { method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": token }, body: "{}" });
  return (await answer.json()).map(({ metadata }) => metadata.title);
});

test("a text is not sent as another user who has logged in elsewhere, and is kept", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "echo" });
  // The admin's pages tell no other page who is logged in.
  await login(context, "/admin/login/", "/admin/password_change/");
  await page.send("for the first user's eyes");
  await page.has(".banner.err", "You are logged in as ada now.");
  await page.has("#composer [role=alert]", "Not sent: You are logged in as ada now.");
  assert.equal(await page.tab.inputValue("#message"), "for the first user's eyes");
  const asked = page.requests.length;
  await page.tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.send("again");
  await page.has("#composer [role=alert]", "Not sent");
  assert.deepEqual(page.requests.slice(asked), []);
  assert.deepEqual(await page.axe(), []);
  await page.button("Reload").click();
  await page.has(".who", "ada");
  assert.ok(!(await titles(page.tab)).includes("for the first user's eyes"));
  assert.equal(await page.tab.inputValue("#message"), "");
  await page.done();
});

test("a page is told by another user's page, also while an answer streams to it", async () => {
  const context = await person();
  const page = await chat(context, { assistant: "obeying" });
  await page.send("talk 2000 0.05");
  await page.has(".md", "w3 ");
  const other = await login(context, "/login/", "/chat/");
  await page.has(".banner.err", "You are logged in as ada now.");
  const shown = await page.tab.locator(".md").innerText();
  const listed = await page.tab.locator(`[data-thread="${page.thread}"]`).count();
  await page.send("stop that");
  await page.has(".bubble ~ .acts", "Not sent: You are logged in as ada now.");
  assert.equal(await page.tab.locator(".md").innerText(), shown);
  assert.equal(listed, 1);
  assert.equal(await other.locator(`[data-thread="${page.thread}"]`).count(), 0);
  await page.done();
  await fetch(`${url}/threads/${page.thread}`, { method: "DELETE" });
});

test("the same user's login elsewhere changes nothing", async () => {
  const context = await person();
  await login(context, "/login/", "/chat/");
  const page = await chat(context, { assistant: "echo" });
  await page.ask("before");
  const other = await login(context, "/login/", "/chat/");
  await page.ask("after");
  assert.deepEqual(await page.said(), ["before", "after"]);
  assert.equal(await page.tab.locator(".banner").count(), 0);
  await page.done();
  await other.close();
});
