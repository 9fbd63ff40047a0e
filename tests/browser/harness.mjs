// A headless browser with the page, which is built here; and the tests' actions on it.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";

export { assert, test };
export const url = process.env.SERVER_URL;
export const PATIENCE = 25_000;

/** Each stock hook, with each transport that it has. */
export const HOOKS = [
  { hook: "legacy", transport: "sse" },
  { hook: "v2", transport: "sse" },
  { hook: "v2", transport: "websocket" },
];
export const V2 = HOOKS.filter(({ hook }) => hook === "v2");
export const named = ({ hook, transport }) => `${hook} over ${transport}`;

async function bundle() {
  const built = await build({
    entryPoints: ["page.jsx"],
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    logLevel: "error",
  });
  return built.outputFiles[0].text;
}

const HTML = '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>';

let browser, answers;

before(async () => {
  const launched = chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // The page is served here, not by the server, so the browser treats it as a page of the internet.
      "--disable-features=LocalNetworkAccessChecks",
    ],
  });
  answers = { "/page.js": { contentType: "text/javascript", body: await bundle() }, "/page": { contentType: "text/html", body: HTML } };
  browser = await launched;
});
after(() => browser?.close());

/** Serve the page on a separate port, and so from another origin, during a script's tests. */
export function pages(port) {
  const server = createServer((request, response) => {
    const { contentType, body } = answers[request.url.split("?")[0]] ?? {};
    response.writeHead(body ? 200 : 404, { "content-type": contentType ?? "text/plain" }).end(body);
  });
  before(() => new Promise((resolve) => server.listen(port, "127.0.0.1", resolve)));
  after(() => server.close());
}

/** The tabs of hooks that were opened at new threads; the next test uses them again. */
const tabs = new Map();

/** Open the page without a thread: the tab is reused, and only the page's content is new. */
export async function open(hook) {
  const known = tabs.get(named(hook));
  if (!known) {
    const chat = await another(hook);
    tabs.set(named(hook), chat.tab);
    return chat;
  }
  await known.evaluate(() => window.fresh());
  return new Chat(known);
}

/**
 * Open the page in a separate tab.
 *
 * @param query The page's parameters: hook, transport.
 * @param options.thread The thread to open, a new one by default.
 * @param options.origin The page's origin, the server's own by default.
 */
export async function another(query, { thread = "", origin = url } = {}) {
  const tab = await browser.newPage();
  tab.setDefaultTimeout(PATIENCE);
  if (origin === url) {
    for (const [path, answer] of Object.entries(answers)) {
      await tab.route(({ pathname }) => pathname === path, (route) => route.fulfill(answer));
    }
  }
  tab.complaints = [];
  tab.on("pageerror", (error) => tab.complaints.push(error.message));
  await tab.goto(`${origin}/page?${new URLSearchParams(query)}#${thread}`);
  await tab.locator("#state").waitFor();
  return new Chat(tab);
}

/** A test of all hooks in parallel, each on separate tabs. */
export function scenario(name, play, hooks = HOOKS) {
  test(name, { concurrency: true }, (t) => Promise.all(hooks.map((hook) => t.test(named(hook), () => play(hook)))));
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
  /** Edit a message; regenerate a message; show another branch at it. */
  fork = (place, words) => this.click(`#messages li:nth-child(${place}) .fork`, words);
  again = (place) => this.click(`#messages li:nth-child(${place}) .again`);
  show = (place, branch) => this.click(`#messages li:nth-child(${place}) .branch:text-is("${branch}")`);

  thread = () => new URL(this.tab.url()).hash.slice(1);
  texts = () => this.tab.locator("#messages li span").allTextContents();
  questions = () => this.tab.locator(".question").allTextContents();
  parents = () => this.tab.locator("#parents li").allTextContents();
  seen = () => this.tab.evaluate(() => window.seen);
  calls = () => this.tab.evaluate(() => window.calls);
  has = (selector, hasText) => this.tab.locator(selector, { hasText }).first().waitFor();
  idle = () => this.has("#state", "idle");

  /** Wait until the messages are these, and no run is active. */
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

  /** Check that the page has no uncaught errors. */
  done() {
    assert.deepEqual(this.tab.complaints.splice(0), []);
  }
}

/** Request a fault of the server from the Python side: "kill", "start", "stop". */
export async function fault(name) {
  const response = await fetch(`${process.env.CONTROL_URL}/${name}`, { method: "POST" });
  assert.equal(response.status, 200, await response.text());
}
