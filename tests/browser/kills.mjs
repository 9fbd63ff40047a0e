// The server is killed again and again at random moments in mid-answer; each time the page must show the state's text.
import { agrees, check, watch, words } from "./words.mjs";
import { chat, fault, PATIENCE, person, plain, sleep, test } from "./site.mjs";

const { TIMES, SEED } = process.env;
const COUNT = 120;
const PAUSE = 0.03;
const WORDS = words(COUNT);

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const shown = async (page) => plain((await page.texts()).join(" ")).split(" ").filter(Boolean).length;

test("kills at random moments", async () => {
  const draw = random(Number(SEED));
  const context = await person();
  context.setDefaultTimeout(3 * PATIENCE);
  for (let number = 1; number <= Number(TIMES); number++) {
    const page = await chat(context, { assistant: "obeying" });
    await watch(page);
    await page.send(`talk ${COUNT} ${PAUSE}`);
    await page.tab.waitForURL(/\/chat\/[0-9a-f-]{36}\//);
    const moment = draw() * COUNT * PAUSE * 0.9;
    console.log(`${number} of ${TIMES}: a kill ${Math.round(moment * 1000)} ms after the first word`);
    await page.has(".md", "w0");
    await sleep(moment * 1000);
    await fault("kill");
    const before = await shown(page);
    await fault("start");
    const up = Date.now();
    // The last word may have been shown before the kill.
    const next = Math.min(before + 1, COUNT);
    await page.tab.waitForFunction((count) => [...document.querySelectorAll(".turn > .step > .md")].map(({ innerText }) => innerText).join(" ").split(/\s+/).filter(Boolean).length >= count, next);
    const resumed = Date.now() - up;
    await page.idle();
    await check(page, WORDS);
    await agrees(page, [WORDS.join(" ")]);
    await page.tab.reload();
    await page.has(".md", `w${COUNT - 1}`);
    await agrees(page, [WORDS.join(" ")]);
    await page.done();
    await page.tab.close();
    console.log(`kill ${JSON.stringify({ number, moment: Math.round(moment * 1000), before, resumed })}`);
  }
});
