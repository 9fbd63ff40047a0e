// The server closes the page's socket for each reason: the page says it, and comes back when it should.
import { assert, chat, fault, person, test, within } from "./site.mjs";
import { agrees, check, watch, words } from "./words.mjs";

/** A page whose socket is closed with a code when it opens, `times` times. Returns when each attempt came. */
async function closing(code, reason, { times = 1 } = {}) {
  const attempts = [];
  const context = await person();
  await context.routeWebSocket(/stream\/events/, (socket) => {
    attempts.push(performance.now());
    if (attempts.length <= times) socket.close({ code, reason });
    else socket.connectToServer();
  });
  const page = await chat(context, { assistant: "echo" });
  await page.send("hello");
  return { page, attempts };
}

for (const [code, reason, said] of [
  [1012, "The server is restarting. Retry after 2.5 s.", "The server restarts"],
  [4429, "You have 100 open streams; close some. Retry after 2.5 s.", "too many connections"],
]) {
  test(`${code}: the page says why, and comes back after the time told`, async () => {
    const { page, attempts } = await closing(code, reason);
    await page.has(".banner", said);
    await page.has(".banner", "Trying again in");
    await page.has(".banner", "Connected again");
    assert.ok(attempts[1] - attempts[0] > 2300, `${attempts}`);
    assert.ok(attempts[1] - attempts[0] < 6000, `${attempts}`);
    await page.idle();
    await page.done();
  });
}

test("1012: a person need not wait", async () => {
  const { page, attempts } = await closing(1012, "The server is restarting. Retry after 60 s.");
  await page.has(".banner", "The server restarts");
  await page.button("Try now").click();
  await page.idle();
  assert.equal(attempts.length, 2);
  await page.done();
});

for (const code of [1011, 4408]) {
  test(`${code}: the page comes back soon`, async () => {
    const { page, attempts } = await closing(code, "", { times: 2 });
    while (attempts.length < 3) await page.tab.waitForTimeout(100);
    await page.idle();
    assert.equal(attempts.length, 3);
    await page.done();
  });
}

test("4401: the person was logged out elsewhere, and can log in again", async () => {
  const { page, attempts } = await closing(4401, "Authentication is required.", { times: 9 });
  await page.has(".banner", "You have been logged out elsewhere");
  const link = page.tab.getByRole("link", { name: "Log in" });
  assert.match(await link.getAttribute("href"), /^\/login\/\?next=%2Fchat%2F/);
  await page.tab.waitForTimeout(1500);
  assert.equal(attempts.length, 1);
  assert.deepEqual(await page.axe(), []);
  await page.done();
});

/** What a person does in another tab, and what becomes of the session on the server. */
const ENDINGS = {
  "by a logout in another tab": async (other) => other.button("Log out").click(),
  "because the server has forgotten it": async (other) => {
    await fault("forget");
    await other.tab.reload();
  },
};

for (const [name, end] of Object.entries(ENDINGS)) {
  test(`a session ends in mid-answer, ${name}, and after another login the page goes on`, async () => {
    // Whoever comes through a proxy is not the local user, who needs no login.
    const context = await person({ extraHTTPHeaders: { via: "1.1 proxy" } });
    const page = await chat(context, { ready: "[name=username]" });
    let heard = 0;
    page.tab.on("websocket", (socket) => socket.on("framereceived", () => (heard += 1)));
    await page.login();
    await page.tab.locator("#message").waitFor();
    await page.choose("obeying");
    await page.send("talk 300 0.02");
    await page.has(".md", "w5 ");
    await page.tab.fill("#message", "talk 2");
    const other = await chat(context);
    await other.tab.locator("[data-thread]").first().waitFor();
    await watch(page);
    const ended = Date.now();
    await end(other);
    await page.has(".banner", "You have been logged out elsewhere");
    // The server looks once a second here.
    assert.ok(Date.now() - ended < within(3000), `It was said after ${Date.now() - ended} ms.`);
    await page.has(".step.break", "whoever is logged out");
    const before = { heard, texts: await page.texts() };
    await other.has("[name=username]");
    // Twenty more words are said meanwhile.
    await page.tab.waitForTimeout(400);
    assert.deepEqual({ heard, texts: await page.texts() }, before);
    await other.login();
    await page.has(".banner", "Connected again");
    await page.idle();
    await check(page, words(300));
    assert.equal(await page.tab.inputValue("#message"), "talk 2");
    await page.tab.locator("#message").press("Enter");
    await page.has(".md", /^w0 w1\s*$/);
    await page.idle();
    await agrees(page, [words(300).join(" "), "w0 w1"]);
    await page.done();
    await other.done();
  });
}

for (const [code, said] of [
  [4403, "refuses this connection"],
  [4404, "This thread is gone"],
]) {
  test(`${code}: the page stays away`, async () => {
    const { page, attempts } = await closing(code, "because", { times: 9 });
    await page.has(".banner", said);
    await page.tab.waitForTimeout(1200);
    assert.equal(attempts.length, 1);
    await page.done();
  });
}

/** Answer the first `times` commands of a page in the server's place. */
async function refusing(page, status, detail, { times = 1 } = {}) {
  let refused = 0;
  await page.tab.route("**/threads/*/commands", (route) => (refused++ < times ? route.fulfill({ status, json: { detail } }) : route.continue()));
}

test("a token that a login in another tab made worthless is fetched anew", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await refusing(page, 403, "CSRF check failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect.");
  await page.ask("hello");
  assert.deepEqual((await page.texts()).map((text) => text.trim()), ["hello"]);
  assert.equal(page.requests.filter((each) => /\/commands$/.test(each)).length, 2);
  await page.done();
});

test("a request after a logout says so with a way to log in, and what was written stays", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await refusing(page, 401, "Authentication is required.");
  await page.send("keep me");
  await page.has(".banner", "logged out elsewhere");
  assert.match(await page.tab.getByRole("link", { name: "Log in" }).getAttribute("href"), /next=%2Fchat%2F/);
  await page.has(".bubble", "keep me");
  await page.button("Retry").click();
  await page.idle();
  await page.done();
});

test("an act after a logout takes nothing away that was written", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.ask("talk 2");
  await page.send("talk 2000 0.05");
  await page.has(".md", "w5 ");
  await page.tab.fill("#message", "half written");
  await page.tab.setInputFiles("input[type=file]", [{ name: "note.md", mimeType: "text/markdown", buffer: Buffer.from("# A note") }]);
  await page.has(".chip", "note.md");
  await page.tab.route("**/threads/**", (route) => (route.request().method() === "GET" ? route.continue() : route.fulfill({ status: 401, json: { detail: "Authentication is required." } })));
  const { pathname } = new URL(page.tab.url());
  const acts = [() => page.button("Stop").click(), async () => {
    await page.button("More about this thread").click();
    await page.tab.getByRole("menuitem", { name: "Pin" }).click();
  }];
  for (const act of acts) {
    await act();
    await page.has(".banner", "logged out elsewhere");
    await page.has("#composer [role=alert]", "Authentication is required.");
    assert.equal(new URL(page.tab.url()).pathname, pathname);
  }
  assert.equal(await page.tab.inputValue("#message"), "half written");
  assert.equal(await page.tab.locator(".chip").count(), 1);
  await page.tab.unroute("**/threads/**");
  await page.button("Stop").click();
  await page.has(".step", "Stopped");
  await page.done();
});
