// The admin's inbox: a question is answered in place, while the others stay as they are.
import { Page, assert, person, test, url } from "./site.mjs";

const post = async (path, body) => (await fetch(`${url}${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();
const question = (name) => ({ action_requests: [{ name, args: { to: "ada" } }], review_configs: [] });

async function ask(name) {
  const { thread_id: thread } = await post("/threads", {});
  await post(`/threads/${thread}/runs/wait`, { assistant_id: "ask", input: { messages: [{ role: "user", content: JSON.stringify(question(name)) }] } });
  return thread;
}

test("a question is answered in place, and the others are left alone", async () => {
  const first = await ask("write_to_ada");
  await ask("call_ada");
  const page = new Page(await (await person({ width: 390, height: 800, theme: "dark" })).newPage());
  await page.tab.goto(`${url}/admin/login/?next=/admin/runs/waiting/`);
  await page.tab.fill("#id_username", "ops");
  await page.tab.fill("#id_password", "a good password");
  await page.tab.locator("[type=submit]").click();
  // Other tests of this site leave questions too.
  await page.has(".rh .quiet", /threads wait, the oldest for/);
  const item = (name) => page.tab.locator(".ib > li", { hasText: `May I run ${name}?` });
  for (const name of ["write_to_ada", "call_ada"]) await item(name).locator("details").first().evaluate((details) => details.open || details.querySelector("summary").click());
  await item("call_ada").getByLabel("Reason, for the record").fill("half written");
  await item("write_to_ada").getByLabel("Reason, for the record").fill("she agreed");
  assert.deepEqual(await page.axe(), []);
  assert.ok(await page.tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await ask("later");
  await item("write_to_ada").getByRole("button", { name: "Approve" }).click();
  await page.has(".records", /A new run goes on/);
  await item("write_to_ada").waitFor({ state: "detached" });
  assert.equal(await page.tab.evaluate(() => document.activeElement.tagName), "SUMMARY");
  assert.equal(await item("call_ada").getByLabel("Reason, for the record").inputValue(), "half written");
  await page.has(".ib > li", /May I run later/);
  await page.tab.getByLabel("Order").selectOption("newest");
  await page.tab.getByRole("button", { name: "Show", exact: true }).click();
  await page.has("#waiting-title", /newest first/);
  assert.match(await page.tab.locator(".ib > li").first().textContent(), /May I run later/);
  assert.ok(await page.tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.tab.getByLabel("User").fill("nobody");
  await page.tab.getByRole("button", { name: "Show", exact: true }).click();
  await page.has(".empty-note", /No question of this choice/);
  assert.deepEqual(await page.axe(), []);
  await page.tab.getByRole("link", { name: "Show all" }).click();
  await page.has(".ib > li", /May I run later/);
  // A login replaces the token: the page may be another operator's now, so nothing is answered with a new one.
  const other = await page.tab.context().newPage();
  await other.goto(`${url}/login/?next=/admin/password_change/`);
  await other.fill("#id_username", "ops");
  await other.fill("#id_password", "a good password");
  await other.keyboard.press("Enter");
  await other.waitForURL(({ pathname }) => pathname === "/admin/password_change/");
  await item("later").locator("details").first().evaluate((details) => details.open || details.querySelector("summary").click());
  await item("later").getByRole("button", { name: "Approve" }).click();
  await page.has(".why", "Not sent: Somebody has logged in since this page was opened. Load it again.");
  assert.deepEqual(await page.tab.evaluate(() => window.violations), []);
  assert.deepEqual(page.complaints, []);
  const { status } = await (await fetch(`${url}/threads/${first}`)).json();
  assert.notEqual(status, "interrupted");
});
