// The page of a run in the admin: what happened, why, and what an operator does about it.
import { Page, assert, person, test, url } from "./site.mjs";

const post = async (path, body) => (await fetch(`${url}${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();
const QUESTION = { action_requests: [{ name: "send_mail", args: { to: "ada", copies: 1 } }], review_configs: [] };

/** Create a run; wait until it has ended, or with `begun` until it executes. */
async function make(graph, input, { begun = false } = {}) {
  const thread = await post("/threads", {});
  const run = await post(`/threads/${thread.thread_id}/runs`, { assistant_id: graph, input });
  for (;;) {
    const { status } = await (await fetch(`${url}/threads/${thread.thread_id}/runs/${run.run_id}`)).json();
    if (begun ? status === "running" : !["pending", "running"].includes(status)) return run.run_id;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const failing = () => make("failing", { log: ["given"] });
const slow = (delay = 4) => make("steps", { log: [], delay }, { begun: true });
const asking = () => make("ask", { messages: [{ role: "user", content: JSON.stringify(QUESTION) }] });

/** The operator's session, from the first login on. */
let session;

async function login(context) {
  const tab = await context.newPage();
  await tab.goto(`${url}/admin/login/?next=/admin/password_change/`);
  await tab.fill("#id_username", "ops");
  await tab.fill("#id_password", "a good password");
  await tab.locator("[type=submit]").click();
  await tab.waitForURL("**/password_change/");
  session = await context.cookies();
  await tab.close();
}

/** The operator's browser at the page of a run, which `make` creates once the browser is ready. */
async function open(make, options = {}) {
  const context = await person(options);
  if (session) await context.addCookies(session);
  else await login(context);
  const page = new Page(await context.newPage());
  page.run = await make();
  await page.tab.goto(`${url}/admin/runs/run/${page.run}/change/`);
  await page.has(".wf > li");
  return page;
}

const row = (page, name) => page.tab.locator(".wf > li", { has: page.tab.locator(`.n:text-is("${name}")`) });

test("a failed run says why, where, and shows its step", async () => {
  const page = await open(failing);
  await page.has(".why", /boom failed: ValueError: kaboom/);
  await page.has(".pane h3", "boom");
  await page.has(".trace .hl", "ValueError: kaboom");
  assert.match(await row(page, "boom").getByRole("button").getAttribute("aria-label"), /^boom, failed, attempt 1, \d+ ms/);
  await page.has(".g .bad", "boom");
  await page.has(".g .vis", "before");
  await row(page, "before").getByRole("button").click();
  await page.has(".df .add", "before");
  await page.tab.getByText("Show the step").click();
  await page.has(".pane h3", "boom");
  await page.has(".records li", /ops \(admin\) read its payloads/);
  assert.match(await page.tab.locator("#attempts-title + div tbody tr").innerText(), /1\s+\S+:\d+\s.*the graph failed/s);
  await page.done();
});

test("the keyboard moves, opens, zooms, and a table says the same", async () => {
  const page = await open(failing);
  const label = () => page.tab.evaluate(() => document.activeElement.getAttribute("aria-label"));
  await row(page, "Attempt 1").getByRole("button").focus();
  await page.tab.keyboard.press("ArrowDown");
  assert.match(await label(), /^before, done/);
  await page.tab.keyboard.press("Enter");
  await page.has(".pane h3", "before");
  // Not the width of a bar: a short step's has a minimum.
  const times = () => page.tab.locator(".ax .axis text").allTextContents();
  const whole = await times();
  await page.tab.keyboard.press("+");
  assert.notDeepEqual(await times(), whole);
  await page.tab.keyboard.press("0");
  assert.deepEqual(await times(), whole);
  await page.tab.keyboard.press("Home");
  await page.tab.keyboard.press("ArrowLeft");
  await page.tab.waitForFunction(() => document.querySelectorAll(".wf > li").length === 1);
  await page.tab.keyboard.press("ArrowRight");
  await page.tab.waitForFunction(() => document.querySelectorAll(".wf > li").length === 3);
  await page.tab.getByText("As a table").click();
  await page.has(".wf-table tbody th", "boom");
  assert.deepEqual(await page.tab.locator(".wf-table tbody th").allInnerTexts(), ["Attempt 1", "before", "boom"]);
  await page.done();
});

test("events are sentences, filtered, opened, and exported", async () => {
  const page = await open(failing);
  const { run } = page;
  await page.has(".tail.ev summary", "boom failed: ValueError: kaboom");
  await page.tab.selectOption("#ev-kind", "saved");
  await page.tab.waitForFunction(() => [...document.querySelectorAll(".tail.ev summary > :nth-child(3)")].every((each) => each.textContent === "saved"));
  await page.tab.locator(".tail.ev summary").first().click();
  await page.has(".tail.ev .data", "step");
  await page.tab.selectOption("#ev-kind", "");
  await page.tab.fill("#ev-id", "1-4");
  await page.tab.locator("#ev-id").press("Enter");
  await page.tab.waitForFunction(() => document.querySelector(".tail.ev summary > span").textContent.startsWith("1-4"));
  await page.button("Earlier events").click();
  await page.has(".tail.ev summary", "attempt 1 begins");
  const text = await page.tab.evaluate((address) => fetch(address).then((answer) => answer.text()), await page.tab.getByRole("link", { name: "JSONL" }).getAttribute("href"));
  const lines = text.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines[0].id, run);
  assert.deepEqual([...new Set(lines.map(({ type }) => type))], ["run", "attempt", "record", "event"]);
  await page.done();
});

test("a run in flight grows, is followed, paused, and cancelled with a reason", async () => {
  const page = await open(() => slow());
  await page.has(".rh .st", "Running");
  await page.tab.locator(".wf .now").first().waitFor({ state: "attached" });
  await page.has(".g .act");
  await page.has("#ev-title .t", "following");
  await page.button("Pause").click();
  await page.has("#ev-title .t", /paused, \d+ new/);
  await page.button("Go on").click();
  await page.has("#ev-title .t", "following");
  assert.match(await page.tab.locator("[data-action=retry]").innerText(), /the run is still running/);
  await page.tab.locator("[data-action=cancel]").click();
  await page.tab.fill("#act-reason", "the price was wrong");
  await page.button("Cancel the run").click();
  await page.has(".rh .st", "Cancelled");
  await page.has(".records li", /ops \(admin\) cancelled it: asked to stop/);
  await page.has(".records q", "the price was wrong");
  assert.match(await page.tab.locator("[data-action=cancel]").innerText(), /the run has ended/);
  await page.done();
});

test("a requeued run goes on in another attempt, and repeats nothing", async () => {
  const page = await open(() => slow(1.5));
  await page.button("More actions").click();
  await page.tab.getByRole("menuitem", { name: /^Requeue/ }).click();
  await page.button("Requeue").click();
  await page.has("#attempts-title + div tbody tr", "a person asked");
  await page.tab.waitForFunction(() => document.querySelectorAll("#attempts-title + div tbody tr").length === 2);
  await page.has(".rh .st", "Done");
  assert.match(await page.tab.locator("#attempts-title + div tbody tr").nth(1).innerText(), /nothing/);
  await page.has(".strip li", "Requeued");
  await page.done();
});

test("a question is answered here, and the new run is linked", async () => {
  const page = await open(asking);
  const { run } = page;
  await page.has(".rh .st", "Waits for a person");
  await page.has(".strip li", "Waits for a person");
  await page.has(".q", "May I run send_mail?");
  await page.tab.fill("#answer-reason", "they phoned");
  await page.button("Approve").click();
  await page.tab.waitForURL((address) => !address.pathname.includes(run));
  await page.has(".rh .st", "Done");
  await page.has(".facts", /By ops \(admin\) for local/);
  await page.has(".records q", "they phoned");
  await page.tab.locator(".facts a", { hasText: run.replaceAll("-", "").slice(-8) }).click();
  await page.has(".strip li", "A person decided");
  await page.done();
});

test("a run is retried, forked with an edited state, and compared", async () => {
  const page = await open(() => make("steps", { log: [] }));
  const { run } = page;
  await page.tab.locator("[data-action=retry]").click();
  await page.button("Retry as new run").click();
  await page.tab.waitForURL((address) => !address.pathname.includes(run));
  await page.has(".rh .st", "Done");
  await page.tab.locator("[data-action=fork]").click();
  const step = await page.tab.locator("#act-point option", { hasText: "Step 8" }).getAttribute("value");
  await page.tab.selectOption("#act-point", step);
  await page.tab.fill("#act-values", "{");
  await page.button("Fork as new run").click();
  await page.has(".dialog .problem-line", "The state is no JSON");
  await page.tab.fill("#act-values", '{"log": ["edited"]}');
  const before = page.tab.url();
  await page.button("Fork as new run").click();
  await page.tab.waitForURL((address) => address.href !== before);
  await page.has(".rh .st", "Done");
  await page.tab.evaluate((id) => (location.hash = `compare=${id}`), run);
  await page.has("#cmp-title");
  await page.has("section:has(> #cmp-title) tbody tr", /s0\s*did not run/);
  await page.has("section:has(> #cmp-title) .df dt", "log");
  await page.has("section:has(> #cmp-title)", /Outputs of steps that both ran.*They gave the same\./);
  await page.done();
});

test("a step is run again with another input", async () => {
  const page = await open(() => make("steps", { log: ["given"], count: 1 }));
  const { run } = page;
  await row(page, "s8").getByRole("button").click();
  await page.button("Run again with another input…").click();
  const dialog = page.tab.getByRole("dialog");
  const log = dialog.getByLabel("log");
  assert.equal(await log.inputValue(), ["given", ...[0, 1, 2, 3, 4, 5, 6, 7].map((number) => `s${number}`)].join("\n"));
  await log.fill("edited");
  await dialog.getByLabel(/Reason/).fill("a typo");
  await page.button("Run again as new run").click();
  await page.tab.waitForURL((address) => !address.pathname.includes(run));
  await page.has(".rh .st", "Done");
  await page.has(".records li", /ops \(admin\) ran a step again: from run .*, from s8 with other log/);
  await page.has(".records q", "a typo");
  await row(page, "s8").getByRole("button").click();
  await page.has(".pane .json", "edited");
  await page.done();
});

test("costs and the transcript are shown for the run, its steps, and by model on the dashboard", async () => {
  const page = await open(() => make("talk", { messages: [{ role: "user", content: "hello" }], tokens: 3 }));
  await page.has(".rh .st", "Done");
  const cost = await page.tab.locator(".facts li", { hasText: /^Cost / }).locator("b").innerText();
  assert.match(cost, /^0\.\d\d$/);
  await row(page, "talk").getByRole("button").click();
  await page.has(".pane .ph p", new RegExp(`cost ${cost.replace(".", "\\.")}`));
  await page.tab.getByText(/^Messages of the run/).click();
  await page.has(".transcript .msg h4", "Person");
  await page.has(".transcript .msg", /^Model\s*w0 w1 w2/);
  await page.tab.goto(`${url}/admin/runs/overview/`);
  await page.has("section:has(> #models-title) tbody th", "Talker");
  await page.done();
});

test("a log that has ended is read on from an id, and imported as a copy", async () => {
  const page = await open(() => make("steps", { log: [], count: 1 }));
  const address = await page.tab.getByRole("link", { name: "JSONL" }).getAttribute("href");
  const file = await page.tab.evaluate((url) => fetch(url).then((answer) => answer.text()), address);
  // The same run under another id, with a log of more than one page.
  const id = page.run.replace(/^.{4}/, "0000");
  const [head, ...rest] = file.trim().split("\n").map((line) => JSON.parse(line));
  const events = Array.from({ length: 450 }, (_, number) => ({ type: "event", id: `1-${number + 1}`, at: head.created, event: "custom", data: { number } }));
  const lines = [{ ...head, id }, ...rest.filter(({ type }) => type === "attempt"), ...events].map((line) => JSON.stringify(line)).join("\n");
  await page.tab.getByRole("link", { name: "Import…" }).click();
  const choose = (content) => page.tab.getByLabel(/File/).setInputFiles({ name: "run.jsonl", mimeType: "application/jsonl", buffer: Buffer.from(content) });
  await choose("no run");
  await page.button("Import").click();
  await page.has(".problem-line", "Line 1 is not JSON");
  await choose(lines);
  await page.button("Import").click();
  await page.tab.waitForURL(`**/${id}/change/`);
  await page.has(".facts b", "A copy from a file");
  await page.has(".rh .st", "Done");
  assert.match(await page.tab.locator("[data-action=retry]").innerText(), /it is a copy from a file/);
  await page.tab.fill("#ev-id", "1-1");
  await page.tab.locator("#ev-id").press("Enter");
  await page.has("#ev-title .t", "read to 1-200");
  await page.button("Later events").click();
  await page.has("#ev-title .t", "read to 1-400");
  await page.button("Later events").click();
  await page.has("#ev-title .t", "ended at 1-450");
  assert.equal(await page.tab.locator(".tail.ev > details").count(), 450);
  await page.done();
});

test("ten thousand steps stay usable", async () => {
  const page = await open(failing);
  const times = await page.tab.evaluate(async () => {
    const script = document.querySelector("script[src*='run/main.js']").src;
    const { Waterfall } = await import(new URL("waterfall.js", script));
    const waterfall = new Waterfall({ choose: () => {} });
    document.querySelector("#run-page").prepend(waterfall.element);
    const spans = [{ id: "a1", parent: "", kind: "attempt", name: "Attempt 1", begin: 0, end: 1e6, status: "done", attempt: 1, detail: {}, namespace: [] }];
    for (let number = 0; number < 10_000; number++) spans.push({ id: `n${number}`, parent: "a1", kind: "node", name: `step ${number}`, begin: number * 100, end: number * 100 + 90, status: "done", attempt: 1, detail: {}, namespace: [] });
    const measure = (act) => {
      const began = performance.now();
      act();
      waterfall.element.getBoundingClientRect();
      return performance.now() - began;
    };
    const found = [measure(() => waterfall.update({ spans, dropped: 0 }, 1e6)), measure(() => waterfall.move(9000)), measure(() => waterfall.zoom(1.6))];
    // A table of all steps says how many it has, and is read on.
    const table = waterfall.table.element;
    const opened = new Promise((resolve) => table.addEventListener("toggle", resolve, { once: true }));
    table.open = true;
    await opened;
    const told = [table.querySelector(".tb").textContent];
    while (table.querySelector(".tb button")) table.querySelector(".tb button").click();
    told.push(table.querySelectorAll("tbody tr").length, document.activeElement.textContent);
    return { found, told, rows: waterfall.rows.children.length, text: waterfall.rows.textContent };
  });
  assert.ok(times.rows < 100, `${times.rows} rows`);
  assert.match(times.text, /step 8999/);
  assert.deepEqual(times.told, ["The first 2,000 of 10,001 steps.Show 2,000 more", 10_001, "step 9999"]);
  // Ten times what an idle machine needs.
  assert.ok(Math.max(...times.found) < 2000, `${times.found} ms`);
  await page.done();
});

for (const theme of ["light", "dark"]) {
  for (const width of [1280, 360]) {
    test(`axe finds nothing, ${theme}, ${width} px`, async () => {
      const found = [];
      const look = async (page, name) => {
        await page.tab.waitForTimeout(300);
        found.push(...(await page.axe()).map((each) => `${name}: ${each}`));
        const wide = await page.tab.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) found.push(`${name}: ${wide} px wide`);
      };
      const page = await open(failing, { theme, width });
      await page.has(".trace");
      await page.tab.getByText("As a table").click();
      await look(page, "failed");
      await page.tab.locator("[data-action=fork]").click();
      await page.has("#act-point");
      await look(page, "dialog");
      await page.tab.keyboard.press("Escape");
      await row(page, "before").getByRole("button").click();
      await page.tab.locator("[data-action=rerun]").click();
      await page.tab.getByRole("dialog").getByLabel("log").waitFor();
      await look(page, "another input");
      const other = await open(() => make("talk", { messages: [], tokens: 3 }), { theme, width });
      await other.tab.goto(`${url}/admin/runs/overview/`);
      await other.has("#models-title");
      await look(other, "dashboard");
      await other.tab.getByRole("link", { name: "Import a run…" }).click();
      await other.tab.getByLabel(/File/).setInputFiles({ name: "a", mimeType: "text/plain", buffer: Buffer.from("x") });
      await other.button("Import").click();
      await other.has(".problem-line");
      await look(other, "import");
      const asked = await open(asking, { theme, width });
      await asked.has(".q");
      await look(asked, "question");
      const live = await open(() => slow(), { theme, width });
      await live.tab.locator(".wf .now").first().waitFor({ state: "attached" });
      await look(live, "running");
      assert.deepEqual(found, []);
    });
  }
}
