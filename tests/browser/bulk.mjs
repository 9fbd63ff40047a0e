// Bulk actions of the admin: chosen in the list, confirmed with a reason, followed, and stopped.
import { Page, assert, person, test, url } from "./site.mjs";

async function open(path, options) {
  const page = new Page(await (await person(options)).newPage());
  await page.tab.goto(`${url}/admin/login/?next=${encodeURIComponent(path)}`);
  await page.tab.fill("#id_username", "ops");
  await page.tab.fill("#id_password", "a good password");
  await page.tab.locator("[type=submit]").click();
  await page.has("#result_list");
  // The admin's own scripts count what is chosen.
  await page.tab.waitForLoadState("load");
  return page;
}

async function choose(page, action) {
  await page.tab.locator("select[name=action]").selectOption({ label: action });
  await page.tab.locator(".actions button[name=index]").click();
}

/** Nothing is hidden: rules of accessibility, width, errors, the policy. */
async function sound(page) {
  assert.deepEqual(await page.axe(), []);
  assert.ok(await page.tab.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.done();
}

test("everything that matches is cancelled in the background, and a stop leaves the rest", async () => {
  const page = await open("/admin/runs/run/?q=queue:held&status=pending");
  await page.tab.locator("#action-toggle").check();
  await page.tab.locator(".actions .question a").click();
  await choose(page, "Cancel (interrupt)");
  await page.has(".in-b", "1,500 runs will be stopped; their checkpoints are kept.");
  await sound(page);
  await page.tab.getByLabel("Reason, for the record").fill("a bad deploy");
  await page.button("Cancel (interrupt)").click();
  await page.has(".st-pill", "Running");
  const bar = page.tab.locator("progress");
  const before = Number(await bar.getAttribute("value"));
  // Without a load of the page.
  await page.tab.waitForFunction((value) => document.querySelector("progress").value > value, before);
  // At once, because the rest takes a few seconds.
  await page.button("Stop").click();
  await page.has(".st-pill", "Stopped");
  await sound(page);
  await page.has("#bulk-note", /runs were left alone/);
  await page.tab.getByRole("link", { name: "search queue:held, status pending" }).click();
  await page.has("#result_list");
});

test("few runs are done when the page opens, and each refusal says why", async () => {
  const page = await open("/admin/runs/run/?q=queue:held", { width: 360, height: 740, theme: "dark" });
  const rows = page.tab.locator("#result_list tbody tr");
  await rows.nth(0).locator("input[type=checkbox]").check();
  await choose(page, "Cancel (interrupt)");
  await page.tab.getByLabel("Reason, for the record").fill("not needed");
  await page.button("Cancel (interrupt)").click();
  await page.has("#bulk-sentence", "1 of 1 handled: 1 done.");
  await page.tab.goto(`${url}/admin/runs/run/?q=queue:held`);
  for (const at of [0, 1]) await rows.nth(at).locator("input[type=checkbox]").check();
  await choose(page, "Set priority");
  await page.has(".in-b", "1 of them cannot be moved because it does not wait in a queue.");
  await page.tab.getByLabel("Priority").fill("7");
  await page.tab.getByLabel("Reason, for the record").fill("paying");
  await sound(page);
  await page.button("Set priority").click();
  await page.has(".st-pill", "Finished");
  await page.has("#bulk-sentence", "2 of 2 handled: 1 done, 1 refused.");
  await page.has(".bulk-refusals", "only a pending run has a place in a queue");
  await sound(page);
  await page.tab.getByRole("link", { name: "All bulk actions" }).click();
  await page.has("#result_list", "Set priority");
});
