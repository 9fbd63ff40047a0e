// The clicks in the admin that find the cause of an incident and mend it, counted from the admin's front page.
import { Page, assert, person, test, url } from "./site.mjs";

const { INCIDENT, RUN, PASSWORD, PICTURES } = process.env;

/** Ask the Python side for something: "repair", "command", "mended". */
async function ask(name, text = "") {
  const response = await fetch(`${process.env.CONTROL_URL}/${name}`, { method: "POST", body: text });
  assert.equal(response.status, 200, await response.text());
}

/** An operator on the way from the admin's front page; typing is not counted. */
class Walk extends Page {
  clicks = 0;

  async click(selector, hasText) {
    this.clicks += 1;
    await this.tab.locator(selector, hasText === undefined ? {} : { hasText }).first().click();
  }

  press = (name) => this.click("button", new RegExp(`^${name}$`));
  dashboard = () => this.click(".model-overview th a");
  /** Follow a sentence of the dashboard. */
  trouble = async (title, sentence) => {
    const item = this.tab.locator(".attention > li", { hasText: title }).filter({ hasText: sentence }).first();
    await this.tab.locator(".attention > li").first().waitFor();
    if (!(await item.count())) assert.fail(await this.tab.locator(".attention").innerText());
    await this.picture("dashboard");
    this.clicks += 1;
    await item.getByRole("link").click();
  };

  async picture(name) {
    if (!PICTURES || (name === "dashboard" && INCIDENT !== "dead-worker")) return;
    await this.tab.evaluate(() => document.fonts.ready);
    await this.tab.screenshot({ path: `${PICTURES}/incident-${name}.jpg`, type: "jpeg", quality: 64, animations: "disabled", caret: "hide" });
  }

  /** Repeat the run that is shown, once what broke it is repaired. */
  async retry() {
    await ask("repair");
    await this.click("[data-action=retry]");
    await this.press("Retry as new run");
    await this.another();
  }

  /** Continue the run as if a node had returned values. */
  async fork(node, values) {
    await this.click("[data-action=fork]");
    await this.tab.fill("#act-values", JSON.stringify(values));
    await this.tab.fill("#act-node", node);
    await this.press("Fork as new run");
    await this.another();
  }

  /** Wait for the page of the new run, and for its end. */
  async another() {
    await this.tab.waitForURL((address) => !address.pathname.includes(RUN));
    await this.has(".rh .st", "Done");
  }

  /** The page of the run, which must not fail to name the cause. */
  async run(cause) {
    await this.has(".rh .mono", RUN.replaceAll("-", "").slice(-8));
    if (cause) await this.has(".why", cause);
    await this.has(".wf > li");
    await this.picture(INCIDENT);
  }
}

const WALKS = {
  async "poison-run"(walk) {
    await walk.trouble("orders failed", /WorkerLost: The process that executed this run was lost in 3 of its 3 attempts/);
    await walk.run(/parse was executing: WorkerLost/);
    assert.equal(await walk.tab.locator(".strip li", { hasText: "Worker lost" }).count(), 3);
    await walk.fork("parse", { done: ["skipped"] });
  },
  async "stuck-node"(walk) {
    await walk.trouble("A run of lookups is silent", /has streamed nothing since/);
    await walk.run();
    await walk.has(".rh ~ div", /fetch has been executing since/);
    await walk.click("[data-action=cancel]");
    await walk.press("Cancel the run");
    await walk.has(".rh .st", "Cancelled");
  },
  async "dead-worker"(walk) {
    const command = await walk.tab.locator(".attention li", { hasText: "No worker serves the queue default" }).locator("code").innerText();
    await walk.trouble(/The worker .* was killed/, /1 run that it executed must be taken over/);
    await walk.has("#content", "Killed");
    await walk.picture(INCIDENT);
    await walk.click("#content a", RUN.replaceAll("-", "").slice(-8));
    await walk.has(".rh .st", "Running");
    await ask("command", command);
    await walk.has(".strip li", "Worker lost");
    await walk.has(".rh .st", "Done");
  },
  async "queue-without-workers"(walk) {
    await walk.trouble("No worker serves the queue gpu", /1 run of it cannot go on/);
    const row = walk.tab.locator(".cards > li", { hasText: "gpu" });
    await row.getByText("No live worker serves this queue").waitFor();
    await walk.picture(INCIDENT);
    await ask("command", await row.locator("code").innerText());
  },
  async "bad-deploy"(walk) {
    await walk.trouble("quotes failed", /NodeGone: The code of graph 'quotes' has changed/);
    await walk.run(/NodeGone.*waits for node 'price', which it does not have/);
    await walk.retry();
  },
  async "full-database"(walk) {
    await walk.trouble("orders failed", /StorageUnavailable: .* the disk is full/);
    await walk.run(/StorageUnavailable: .* the disk is full/);
    await walk.retry();
  },
  async "slow-model"(walk) {
    await walk.trouble("answers failed", /time/i);
    await walk.run();
    await walk.has(".wf > li .n", "slow-model");
    await walk.retry();
  },
  async "runaway-user"(walk) {
    await walk.has(".attention li", /29 of the 30 waiting runs are of this user/);
    await walk.picture(INCIDENT);
    await walk.press("Cancel these 29 runs");
    await walk.tab.fill("#bulk-reason", "a script in a loop");
    await walk.press("Cancel \\(interrupt\\)");
    await walk.has(".run-page", /29 of 29 handled/);
  },
  async "lost-webhook"(walk) {
    await walk.trouble(/Webhooks to 127.0.0.1 were given up/, /503/);
    await walk.has("#content", /503/);
    await walk.picture(INCIDENT);
    await walk.press("Send again");
    await walk.has(".messagelist", "1 webhook will be sent again");
  },
  async "wrong-answer"(walk) {
    await walk.click("#result_list a", RUN.replaceAll("-", "").slice(-8));
    await walk.has(".pane");
    await walk.run();
    await walk.fork("ask", { approved: false });
  },
};

test(INCIDENT, async () => {
  const walk = new Walk(await (await person({ width: 1120, height: 720 })).newPage());
  await walk.tab.goto(`${url}/admin/login/?next=/admin/`);
  await walk.tab.fill("#id_username", "ops");
  await walk.tab.fill("#id_password", PASSWORD);
  await walk.tab.locator("[type=submit]").click();
  if (INCIDENT === "wrong-answer") await walk.click(".model-run th a");
  else await walk.dashboard();
  await WALKS[INCIDENT](walk);
  await ask("mended");
  await walk.done();
  console.log(`clicks: ${INCIDENT} ${walk.clicks}`);
});
