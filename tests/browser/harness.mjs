// A headless browser with the page in it, which is built here; and what the tests do on it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";

export { assert, test };
export const url = process.env.SERVER_URL;
const PATIENCE = 20_000;

async function bundle() {
  const built = await build({
    entryPoints: ["page.jsx"],
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "error",
  });
  return built.outputFiles[0].text;
}

const HTML = '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>';

let browser, tab;
const complaints = [];

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // The page is answered here, not by the server: the browser takes it for one of the internet.
      "--disable-features=LocalNetworkAccessChecks",
    ],
  });
  tab = await browser.newPage();
  tab.setDefaultTimeout(PATIENCE);
  tab.on("pageerror", (error) => complaints.push(error.message));
  const body = await bundle();
  await tab.route(/\/page\.js$/, (route) => route.fulfill({ contentType: "text/javascript", body }));
  await tab.route(/\/page\?/, (route) => route.fulfill({ contentType: "text/html", body: HTML }));
});
after(() => browser?.close());

/** Open the page at the server's origin, without a thread; `query` is what it is asked for: hook, transport. */
export async function open(query) {
  await tab.goto("about:blank");
  await tab.goto(`${url}/page?${new URLSearchParams(query)}`);
  return new Chat(tab);
}

/** The page as its user sees it. */
class Chat {
  constructor(tab) {
    this.tab = tab;
  }

  /** Click a button with words in the field. */
  async click(button, words = "") {
    await this.tab.fill("#words", words);
    await this.tab.click(button);
  }

  send = (words) => this.click("#send", words);
  answer = (words) => this.click("#answer", words);
  stop = () => this.click("#stop");
  fork = (place, words) => this.click(`#messages li:nth-child(${place}) .fork:enabled`, words);

  /** Wait until the next websocket that the page opens was told something. */
  async hears(word) {
    const socket = await this.tab.waitForEvent("websocket");
    await socket.waitForEvent("framereceived", { predicate: ({ payload }) => String(payload).includes(word) });
  }

  texts = () => this.tab.locator("#messages li span").allTextContents();
  seen = () => this.tab.evaluate(() => window.seen);
  has = (selector, hasText) => this.tab.locator(selector, { hasText }).first().waitFor();
  idle = () => this.has("#state", "idle");

  /** Wait until the messages are these, and nothing goes on. */
  async shows(expected) {
    const end = Date.now() + PATIENCE;
    let found;
    do {
      found = { texts: await this.texts(), state: await this.tab.textContent("#state") };
      if (found.state === "idle" && JSON.stringify(found.texts) === JSON.stringify(expected)) return;
      await this.tab.waitForTimeout(20);
    } while (Date.now() < end);
    const error = await this.tab.locator("#error").allTextContents();
    assert.deepEqual({ ...found, error }, { texts: expected, state: "idle", error: [] });
  }

  /** Nothing was thrown on the page that nobody caught. */
  close() {
    assert.deepEqual(complaints.splice(0), []);
  }
}

/** Ask the Python side to do something to the server: "kill", "start", "stop". */
export async function fault(name) {
  const response = await fetch(`${process.env.CONTROL_URL}/${name}`, { method: "POST" });
  assert.equal(response.status, 200, await response.text());
}
