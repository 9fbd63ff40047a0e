// Pictures of the main states of the chat page, for the documentation: `make pictures`.
import { mkdirSync } from "node:fs";
import { chat, fault, person, test, url } from "./site.mjs";

const FOLDER = process.env.PICTURES;
const only = process.env.ONLY?.split(",").filter(Boolean);
mkdirSync(FOLDER, { recursive: true });

/** What the list of threads shows beside the one of a picture. */
const THREADS = ["Postgres upgrade checklist", "Idempotency keys for webhooks", "Why did the slow queue stall?", "Clock skew between two hosts", "Migrating the nightly batch", "On-call handbook: worker loss"];

async function tidy() {
  const call = async (method, path, body) => (await fetch(`${url}/${path}`, { method, body: body && JSON.stringify(body) })).json().catch(() => null);
  for (const { thread_id: id } of await call("POST", "threads/search", { limit: 100 })) await call("DELETE", `threads/${id}`);
  for (const title of THREADS) await call("POST", "threads", { metadata: { title, renamed: true, pinned: title === THREADS.at(-1) } });
}

/** Take a picture of one state. */
function picture(name, { assistant, theme = "light", width = 1280, height = 800, ...more }, reach) {
  if (only?.length && !only.includes(name)) return;
  test(name, async () => {
    await tidy();
    const context = await person({ theme, width, height, ...more });
    // A caret that blinks makes each picture another one.
    await context.addInitScript(() => addEventListener("DOMContentLoaded", () => document.documentElement.classList.add("still")));
    const page = await chat(context, { assistant });
    await reach(page);
    await page.tab.evaluate(() => document.fonts.ready);
    await page.tab.screenshot({ path: `${FOLDER}/chat-${name}.png`, animations: "disabled", caret: "hide" });
  });
}

const RESEARCH = "How do leases and heartbeats find a dead worker?";
const NOTE = "Write a note about leases.";

const desk = { assistant: "agent" };
const deep = { assistant: "deep" };
const phone = { width: 360, height: 740, hasTouch: true };

async function research(page) {
  await page.send(RESEARCH);
  await page.has(".q");
}

async function note(page) {
  await page.ask(NOTE);
  await page.tab.locator(".artlink", { hasText: "lease-note.md" }).first().click();
  await page.has("#panel .md");
}

picture("empty", desk, (page) => page.has(".try"));
picture("interrupt", desk, research);
picture("interrupt-dark", { ...desk, theme: "dark" }, research);
picture("file", deep, note);
picture("file-dark", { ...deep, theme: "dark" }, note);
picture("sub-agents", { ...deep, height: 1000 }, async (page) => {
  await page.ask(NOTE);
  await page.tab.locator(".card", { has: page.tab.locator("> summary b", { hasText: /^researcher$/ }) }).locator("> summary").click();
  await page.tab.locator(".card .card > summary").first().click();
});
picture("phone", { ...desk, ...phone }, research);
picture("phone-file", { ...deep, ...phone }, note);
picture("settings", { assistant: "configured" }, async (page) => {
  await page.settings();
});
picture("answer", desk, async (page) => {
  await research(page);
  await page.button("Approve").click();
  await page.has(".md", "Sources");
  await page.idle();
});
const QUESTION = "How do leases and fencing keep a run from being executed twice?";

async function tell(page) {
  await page.send(QUESTION);
  await page.has(".md.growing", "the other looks");
}

picture("queue", { assistant: "telling" }, async (page) => {
  await tell(page);
  await page.send("And then a line about clocks that differ between hosts.");
  await page.has(".tray");
});
// The last one: it leaves no server.
picture("connection-lost", { assistant: "telling" }, async (page) => {
  await tell(page);
  await fault("kill");
  await page.has(".banner", "Connection lost");
});
