// The chat in another Django site, below its prefix: the host's login, and everything by relative addresses.
import { assert, chat, person, test, url } from "./site.mjs";

const origin = new URL(url).origin;

test("the chat of a host site: its login, an answer, a reload, a search, a page without a thread", async () => {
  const context = await person();
  const tab = await context.newPage();
  await tab.goto(`${url}/chat/`);
  assert.equal(new URL(tab.url()).pathname, "/sign-in/");
  await tab.fill("[name=username]", process.env.EMAIL);
  await tab.fill("[name=password]", process.env.PASSWORD);
  await tab.locator("[type=submit]").click();
  await tab.locator("#message").waitFor();
  const page = await chat(context, { assistant: "echo" });
  await page.ask("Is this **below** a prefix?");
  assert.equal(new URL(page.tab.url()).pathname, `${new URL(url).pathname}/chat/${page.thread}/`);
  await page.tab.reload();
  await page.has(".md strong", "below");
  await page.ask("And after a reload?");
  await page.tab.locator("#new-thread").click();
  await page.tab.locator("#find").fill("below");
  await page.tab.locator("[data-thread] .snippet mark", { hasText: "below" }).first().waitFor();
  const elsewhere = page.requests.filter((each) => each.startsWith(origin) && !/^\/(agents|static|sign-in|favicon)/.test(new URL(each).pathname));
  assert.deepEqual(elsewhere, []);
  await page.done();
});

test("a host that serves no static files is told so by the page", async () => {
  const context = await person();
  const tab = await context.newPage();
  await tab.goto(`${url}/chat/`);
  await tab.fill("[name=username]", process.env.EMAIL);
  await tab.fill("[name=password]", process.env.PASSWORD);
  await context.route("**/static/**", (route) => route.fulfill({ status: 404 }));
  await tab.locator("[type=submit]").click();
  await tab.getByText("Does this site serve its static files").waitFor();
});

test("the page of a run in the admin of a host site", async () => {
  const context = await person();
  const page = await chat(context, { ready: "[name=username]" });
  await page.tab.fill("[name=username]", process.env.EMAIL);
  await page.tab.fill("[name=password]", process.env.PASSWORD);
  await page.tab.locator("[type=submit]").click();
  await page.tab.locator("#message").waitFor();
  await page.choose("echo");
  await page.ask("Look into it");
  await page.tab.goto(`${origin}/backoffice/runs/run/`);
  await page.tab.locator("#result_list .field-short a").first().click();
  await page.has("body", "The shop's back office");
  await page.has("body", "Attempt 1");
  await page.done();
});
