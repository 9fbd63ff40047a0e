// The admin's list of runs: suggestions by keyboard, several values of a filter, columns and views; light and dark, desktop and phone.
import { Page, assert, person, test, url } from "./site.mjs";

const RUNS = "/admin/runs/run/";
const post = async (path, body) => (await fetch(`${url}${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();

async function run(assistant, input) {
  const { thread_id: thread } = await post("/threads", {});
  await post(`/threads/${thread}/runs/wait`, { assistant_id: assistant, input, on_disconnect: "continue" });
}

async function list(options) {
  const page = new Page(await (await person(options)).newPage());
  await page.tab.goto(`${url}/admin/login/?next=${RUNS}`);
  await page.tab.fill("#id_username", "ops");
  await page.tab.fill("#id_password", "a good password");
  await page.tab.locator("[type=submit]").click();
  await page.has("#result_list");
  await page.tab.waitForLoadState("load");
  return page;
}

/** Nothing is wider than the window, unreadable or against the policy. */
async function sound(page) {
  // The script has named the search box.
  await page.tab.getByRole("combobox", { name: "Search runs" }).waitFor();
  assert.ok(await page.tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.deepEqual(await page.axe(), []);
  await page.done();
}

const statuses = (page) => page.tab.locator("#result_list .field-state").allInnerTexts();

test("a search is completed by keyboard, and narrowed by two statuses", async () => {
  await run("steps", { log: [] });
  await run("failing", { log: [] });
  await run("ask", { messages: [{ role: "user", content: JSON.stringify({ action_requests: [{ name: "look", args: {} }], review_configs: [] }) }] });
  const page = await list({ width: 1280, height: 900 });
  const box = page.tab.getByRole("combobox", { name: "Search runs" });
  await box.pressSequentially("stat");
  await page.tab.getByRole("option", { name: /^status:/ }).waitFor();
  await box.press("ArrowDown");
  await box.press("Enter");
  await page.tab.getByRole("option", { name: "status:error" }).waitFor();
  assert.equal(await box.getAttribute("aria-expanded"), "true");
  await sound(page);
  await box.press("Escape");
  assert.equal(await box.getAttribute("aria-expanded"), "false");
  await box.pressSequentially("err");
  await page.tab.getByRole("option", { name: "status:error" }).click();
  assert.equal(await box.inputValue(), "status:error ");
  await box.press("Enter");
  await page.tab.waitForURL(/q=status%3Aerror/);
  assert.ok((await statuses(page)).every((each) => each === "error"));

  await page.tab.goto(`${url}${RUNS}`);
  const choice = (name) => page.tab.locator("#changelist-filter").getByRole("link", { name: new RegExp(`^${name} \\d`) });
  await choice("Error").click();
  await page.tab.waitForURL(/status=error/);
  await choice("Waits for a person").click();
  await page.tab.waitForURL(/status=waiting/);
  assert.deepEqual([...new Set(await statuses(page))].sort(), ["asks", "error"]);
  assert.equal(await choice("Error").getAttribute("aria-current"), "true");
  await box.fill("queue:default");
  await box.press("Enter");
  await page.tab.waitForURL(/q=queue/);
  assert.deepEqual([...new Set(await statuses(page))].sort(), ["asks", "error"]);
  await sound(page);
});

test("columns and views are kept, on a phone in the dark", async () => {
  const page = await list({ width: 360, height: 740, theme: "dark", hasTouch: true });
  const tool = (name) => page.tab.locator("details.tool > summary", { hasText: name });
  await tool("Columns").click();
  await page.tab.keyboard.press("Escape");
  await page.tab.getByLabel("Queue", { exact: true }).waitFor({ state: "hidden" });
  await tool("Columns").click();
  await page.tab.getByLabel("Queue", { exact: true }).check();
  await page.tab.getByLabel("Thread", { exact: true }).uncheck();
  await sound(page);
  await page.button("Show these").click();
  await page.has("#result_list .field-queue");
  assert.equal(await page.tab.locator("#result_list .field-thread_link").count(), 0);
  await page.tab.goto(`${url}${RUNS}?status=success&status=error`);
  await tool("Save view").click();
  await page.tab.getByLabel("Name", { exact: true }).fill("Ended");
  await sound(page);
  await page.button("Save").click();
  await page.has(".messagelist", /The view “Ended” is saved/);
  await page.tab.goto(`${url}${RUNS}`);
  await page.tab.getByRole("link", { name: "Ended" }).click();
  await page.has(".views [aria-current=page]", "Ended");
  assert.deepEqual(new URL(page.tab.url()).searchParams.getAll("status"), ["success", "error"]);
  await page.button("Delete the view Ended").click();
  await page.has(".messagelist", /The view “Ended” is deleted/);
  await tool("Columns").click();
  await page.button("As at first").click();
  await page.has("#result_list .field-thread_link");
  await sound(page);
});

test("rows follow their runs in place, new ones are counted, and durations lead to runs", async () => {
  const { thread_id: thread } = await post("/threads", {});
  await post(`/threads/${thread}/runs`, { assistant_id: "steps", input: { log: [], delay: 1 } });
  const page = await list({ width: 1280, height: 900 });
  const first = page.tab.locator("#result_list tbody tr").first();
  const before = await first.locator(".field-short").innerText();
  assert.match(await first.locator(".field-state").innerText(), /pending|running/);
  await first.locator(".action-checkbox input").check();
  const top = () => first.evaluate((row) => row.getBoundingClientRect().top);
  const place = await top();
  await run("steps", { log: [] });
  await page.tab.getByRole("link", { name: "Show 1 new run" }).waitFor();
  await first.locator(".field-state", { hasText: "success" }).waitFor();
  assert.equal(await first.locator(".field-short").innerText(), before);
  assert.equal(await top(), place, "nothing has moved");
  assert.ok(await first.locator(".action-checkbox input").isChecked());
  await page.button("Live").click();
  await page.button("Paused").waitFor();
  await page.button("Paused").click();
  await page.tab.route("**/rows/**", (route) => route.abort());
  await page.has(".live", "The server does not answer");
  await page.tab.unroute("**/rows/**");
  await page.tab.getByText("Durations over time").click();
  await page.has(".durations p", /half took at most/);
  await sound(page);
  const points = page.tab.locator(".durations svg a");
  await points.last().focus();
  await page.tab.keyboard.press("ArrowLeft");
  assert.match(await page.tab.evaluate(() => document.activeElement.getAttribute("aria-label")), /^\w+, .+(ms|s|min|h), /);
  await page.tab.keyboard.press("Enter");
  await page.tab.waitForURL(/\/run\/[0-9a-f-]{36}\/change/);
});
