// Pictures of the main states of the chat page, for the documentation: `make pictures`.
import { mkdirSync } from "node:fs";
import { chat, fault, person, test, url } from "./site.mjs";

const FOLDER = process.env.PICTURES;
const only = process.env.ONLY?.split(",");
mkdirSync(FOLDER, { recursive: true });

/** Take a picture of one state. */
function picture(name, { assistant, theme = "light", width = 1280, height = 800, ...more }, reach) {
  if (only && !only.includes(name)) return;
  test(name, async () => {
    const context = await person({ theme, width, height, ...more });
    // A caret that blinks makes each picture another one.
    await context.addInitScript(() => addEventListener("DOMContentLoaded", () => document.documentElement.classList.add("still")));
    const page = await chat(context, { assistant });
    await reach(page);
    await page.tab.evaluate(() => document.fonts.ready);
    await page.tab.screenshot({ path: `${FOLDER}/chat-${name}.png`, animations: "disabled", caret: "hide" });
    await context.close();
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
  await page.tab.locator(".card", { has: page.tab.locator("> summary b", { hasText: /^task$/ }) }).locator("> summary").click();
  await page.tab.locator(".card .card > summary").first().click();
});
picture("phone", { ...desk, ...phone }, research);
picture("phone-file", { ...deep, ...phone }, note);
picture("settings", { assistant: "configured" }, async (page) => {
  await page.tab.getByRole("button", { name: /^Assistant/ }).click();
  await page.tab.getByRole("menuitem", { name: "Settings…" }).click();
  await page.has("dialog");
});
picture("answer", desk, async (page) => {
  await research(page);
  await page.button("Approve").click();
  await page.has(".md", "Sources");
  await page.idle();
});
picture("queue", { assistant: "obeying" }, async (page) => {
  await page.send("talk 400 0.05");
  await page.has(".md", "w20 ");
  await page.send("And then say it again, in fewer words.");
  await page.has(".tray");
});
picture("connection-lost", { assistant: "obeying" }, async (page) => {
  await page.send("talk 120 0.05");
  await page.has(".md", "w60 ");
  await fault("kill");
  await page.has(".banner", "Connection lost");
});
