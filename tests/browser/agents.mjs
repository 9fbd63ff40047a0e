// Agents of deepagents, langgraph-supervisor and langgraph-swarm: sub-agents with their own streams, plans and files.
import { readFile } from "node:fs/promises";
import { assert, chat, person, plain, test } from "./site.mjs";

/** The card of a name, within a page or another card. */
const card = ({ tab }, name, within = tab) => within.locator(".card", { has: tab.locator("> summary b", { hasText: new RegExp(`^${name}$`) }) });

/** The names and texts of the steps, in order. */
const steps = (page) => page.tab.locator(".turn > .step").evaluateAll((all) => all.map((each) => (each.querySelector("summary b, .note span, .artlink b") ?? each).textContent.trim()));

/** Note which words a card's summary shows over time. */
const watch = (page) => page.tab.evaluate(() => {
  window.seen = new Set();
  new MutationObserver(() => document.querySelectorAll(".card .card summary, .card summary").forEach((each) => window.seen.add(each.innerText))).observe(document.querySelector("#stage"), { childList: true, subtree: true, characterData: true });
});

test("a deep agent: its plan, its sub-agent in the card of its call, its files with versions", async () => {
  const page = await chat(await person(), { assistant: "deep" });
  await watch(page);
  await page.ask("Write a note about leases.");
  // The call and its sub-agent are one card.
  const inner = card(page, "researcher");
  await inner.locator("> summary").click();
  await inner.getByText("Leases end by themselves, the notes say.").last().waitFor();
  await inner.locator(".task", { hasText: "How do leases end?" }).waitFor();
  await card(page, "look_up", inner).locator("> summary").click();
  await inner.getByText("The notes say that leases end by themselves.").waitFor();
  assert.equal(await card(page, "task").count(), 0);
  assert.ok((await page.tab.evaluate(() => [...window.seen])).some((each) => /researcher[^]*Running/.test(each)), "The sub-agent was not seen while it ran.");
  await page.tab.locator(".plan").click();
  assert.deepEqual(await page.tab.locator(".todos li > span:last-child").allInnerTexts(), ["Look it up", "Write the note", "Check it"]);

  await page.has(".artlink", "Version 2 · 21 words");
  await page.idle();
  await page.has(".plan", "Left at: Write the note");
  assert.equal(await page.tab.locator(".plan-d :is(.doing, .spin)").count(), 0);
  await page.has("#subtitle", / tokens$/);
  assert.equal(await inner.locator("> summary .arg").textContent(), "How do leases end?");
  const body = await inner.locator("> .card-b > :visible").allInnerTexts();
  assert.equal(body.join(" ").match(/Leases end by themselves, the notes say\./g).length, 1, "The card says its result once.");
  assert.doesNotMatch(body.join(" "), /subagent_type/);
  await page.tab.locator(".artlink", { hasText: "lease-note.md" }).click();
  const panel = page.tab.locator("#panel");
  assert.equal(await panel.locator(".md h3").innerText(), "Leases");
  assert.match(await panel.locator(".md").innerText(), /A lease ends without its owner\./);
  await panel.getByRole("button", { name: "Older version" }).click();
  await panel.locator(".pick .num", { hasText: "v1 of 2" }).waitFor();
  assert.match(await panel.locator(".md").innerText(), /A lease ends by itself\./);
  const [file] = await Promise.all([page.tab.waitForEvent("download"), panel.getByRole("button", { name: "Download" }).click()]);
  assert.equal(file.suggestedFilename(), "lease-note.md");
  assert.match(await readFile(await file.path(), "utf8"), /^# Leases\n\nA lease ends \*\*by itself\*\*/);
  assert.deepEqual(await page.axe(), []);
  await page.tab.keyboard.press("Escape");
  await page.gone("#panel");
  assert.ok(await page.tab.evaluate(() => document.activeElement.classList.contains("artlink")));

  await page.tab.reload();
  await page.button("2 files").click();
  await page.tab.getByRole("menuitemradio", { name: "claim.sql" }).click();
  await panel.locator(".hljs-keyword").first().waitFor();
  assert.equal(plain(await panel.locator("code").innerText()), "UPDATE run SET attempt = attempt + 1;");
  await page.done();
});

test("a supervisor and its clerk, and a swarm: each agent by its name, in order", async () => {
  const page = await chat(await person(), { assistant: "supervised" });
  await page.ask("How do claims end?");
  await page.has(".md", "The clerk has looked it up.");
  await card(page, "clerk").locator("> summary").click();
  await card(page, "look_up", card(page, "clerk")).waitFor();
  // What the clerk has said is the thread's own; the supervisor has done nothing else.
  assert.deepEqual(await steps(page), ["supervisor", "transfer_to_clerk", "clerk", "Claims end by themselves too.", "Transferring back to supervisor", "transfer_back_to_supervisor", "supervisor", "The clerk has looked it up."]);
  await page.done();
  const other = await chat(page.tab.context(), { assistant: "swarm" });
  await other.ask("How do fences end?");
  const expected = ["alice", "transfer_to_bob", "bob", "look_up", "Bob has looked it up."];
  assert.deepEqual(await steps(other), expected);
  await other.tab.reload();
  await other.has(".note", "bob");
  assert.deepEqual(await steps(other), expected);
  await other.done();
});
