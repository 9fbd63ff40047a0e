// The site's pages in a headless browser, as their users see them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { after, afterEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";

export { assert, sleep, test };
export const url = process.env.SERVER_URL;
export const PATIENCE = 30_000;

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let launched;

/** The script's browser. */
export function launch() {
  return (launched ??= chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  }));
}
after(async () => (await launched)?.close());

/** The contexts of the test that runs: pages that stay open would keep the server busy during the next one. */
const contexts = [];
afterEach(() => Promise.all(contexts.splice(0).map((each) => each.close())));

/** The limit here for what takes `milliseconds` on an idle machine. */
export const within = (milliseconds) => milliseconds * Math.max(1, os.loadavg()[0] / os.cpus().length);

/** Make a thread of so many messages; returns its id. */
export async function long(count, assistant) {
  const messages = Array.from({ length: count }, (_, place) => ({ type: place % 2 ? "ai" : "human", content: place % 2 ? `Answer ${place} with **words**, a list:\n\n- one\n- two` : `Question ${place}` }));
  const made = await fetch(`${url}/threads`, { method: "POST", body: JSON.stringify({ metadata: { graph_id: assistant }, supersteps: [{ updates: [{ values: { messages }, as_node: assistant === "obeying" ? "talk" : "node" }] }] }) });
  return (await made.json()).thread_id;
}

/** The browser of one user: its pages share their storage. It is closed after the test, unless it is kept. */
export async function person({ width = 1280, height = 900, theme = "light", kept = false, ...more } = {}) {
  const browser = await launch();
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, ...more });
  context.setDefaultTimeout(PATIENCE);
  if (!kept) contexts.push(context);
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  return context;
}

/** Open the chat, at a thread if one is given; it is ready when there is an element of the selector. `origin` leads to the same site. */
export async function chat(context, { thread = "", assistant = "", ready = "#message", origin = url } = {}) {
  const tab = await context.newPage();
  const page = new Chat(tab);
  await tab.goto(`${origin}/chat/${thread ? `${thread}/` : ""}`);
  await tab.locator(ready).first().waitFor();
  if (assistant) await page.choose(assistant);
  return page;
}

/** A page of the site, and what must not happen on it. */
export class Page {
  constructor(tab) {
    this.tab = tab;
    this.complaints = [];
    this.requests = [];
    tab.on("pageerror", (error) => this.complaints.push(error.stack));
    tab.on("request", (request) => this.requests.push(request.url()));
  }

  button = (name, options = {}) => this.tab.getByRole("button", { name, exact: true, ...options });
  has = (selector, hasText) => this.tab.locator(selector, hasText === undefined ? {} : { hasText }).first().waitFor();
  gone = (selector) => this.tab.locator(selector).first().waitFor({ state: "hidden" });

  /** The violations of axe's rules: of all, or of the named ones. */
  async axe(rules) {
    // Without its styles a page breaks other rules.
    await this.tab.waitForLoadState("load");
    if (!(await this.tab.evaluate(() => "axe" in window))) await this.tab.evaluate(AXE);
    const { violations } = await this.tab.evaluate((runOnly) => window.axe.run(document, { resultTypes: ["violations"], preload: false, ...(runOnly ? { runOnly } : {}) }), rules);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  }

  /** Log in on the page that asks for it, as the user who may look into runs. */
  async login(password = "a good password") {
    await this.tab.getByLabel("Username").fill("ada");
    await this.tab.getByLabel("Password").fill(password);
    await this.button("Log in").click();
  }

  /** Check for hidden problems: errors, violations of the policy, and requests to other hosts. */
  async done() {
    assert.deepEqual(this.complaints, []);
    assert.deepEqual(await this.tab.evaluate(() => window.violations), []);
    const { host } = new URL(this.tab.url());
    assert.deepEqual(this.requests.filter((each) => /^(https?|wss?):/.test(each) && new URL(each).host !== host), []);
  }
}

export class Chat extends Page {
  get thread() {
    return /\/chat\/([0-9a-f-]{36})\//.exec(this.tab.url())?.[1];
  }

  async choose(assistant) {
    await this.tab.getByRole("button", { name: /^Assistant/ }).click();
    await this.tab.getByRole("menuitemradio", { name: new RegExp(`^${assistant}`) }).click();
  }

  /** Begin another thread, on the same page. */
  async fresh(assistant) {
    await this.tab.getByRole("link", { name: "New thread" }).click();
    await this.has(".empty h1", "What should I look into?");
    if (assistant) await this.choose(assistant);
  }

  /** Open the settings of the assistant. */
  async settings() {
    await this.tab.getByRole("button", { name: /^Assistant/ }).click();
    await this.tab.getByRole("menuitem", { name: "Settings…" }).click();
    await this.has("dialog");
  }

  async send(text) {
    await this.tab.fill("#message", text);
    await this.tab.locator("#message").press("Enter");
  }

  /** Wait until no run is active. */
  async idle() {
    await this.tab.locator(".answer, .q").last().waitFor();
    await this.tab.waitForFunction(() => document.querySelector(".stop").hidden && !document.querySelector(".step.live"));
  }

  /** Send, and wait until the answer is complete. */
  async ask(text) {
    await this.tab.fill("#message", text);
    await this.enter();
  }

  /** Send what is written, and wait until the answer is complete. */
  async enter() {
    const before = await this.tab.locator(".bubble").count();
    await this.tab.locator("#message").press("Enter");
    await this.tab.waitForFunction((count) => document.querySelectorAll(".bubble").length > count, before);
    await this.idle();
  }

  texts = () => this.tab.locator(".turn > .step > .md").allInnerTexts();
  said = () => this.tab.locator(".bubble").allInnerTexts();

  /** The text of the state's messages of the agent. */
  async state() {
    const { values } = await this.tab.evaluate(async (address) => (await fetch(address)).json(), new URL(`../../threads/${this.thread}/state`, this.tab.url()).href);
    return values.messages.filter(({ type }) => type === "ai").map(({ content }) => (typeof content === "string" ? content : content.map(({ text }) => text ?? "").join("")));
  }
}

/** Request a fault of the server from the Python side: "kill", "start", "stop", and those of test_chat.py. */
export async function fault(name, body) {
  const response = await fetch(`${process.env.CONTROL_URL}/${name}`, { method: "POST", body });
  assert.equal(response.status, 200, await response.text());
}

/** A text with the browser's spaces normalised. */
export const plain = (text) => text.replace(/\s+/g, " ").trim();
