// How quick the chat page is, by Chromium's own traces: `make traces`. Prints each figure beside its limit.
import { chat, launch, long, person, test, within } from "./site.mjs";

const CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel"];
/** Milliseconds of a task from which on people notice it. */
const LONG_TASK = 50;
/** Tokens a second, and how many. */
const RATE = 100;
const TOKENS = 600;

const beyond = [];

function tell(name, value, limit, unit) {
  const allowed = within(limit);
  if (value > allowed) beyond.push(name);
  const number = unit === "ms" ? String(Math.round(value)) : value.toFixed(4);
  console.log(`${value > allowed ? "!" : " "} ${name.padEnd(62)} ${number.padStart(7)} ${unit} of ${limit}`);
}

/** The events of a page's main thread while something happens. */
async function traced(page, act) {
  const browser = await launch();
  await browser.startTracing(page.tab, { categories: CATEGORIES });
  await act();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const threads = new Map(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => [pid, tid]));
  const mine = traceEvents.filter(({ pid, tid }) => threads.get(pid) === tid);
  // Other tabs have renderers of their own, which do nothing meanwhile.
  const counts = new Map();
  for (const { pid } of mine) counts.set(pid, (counts.get(pid) ?? 0) + 1);
  const [[busiest]] = [...counts].sort(([, one], [, other]) => other - one);
  return mine.filter(({ pid }) => pid === busiest);
}

/** The milliseconds of each task; of a processor, where Chromium tells them, because a busy machine makes others wait. */
const tasks = (events) => events.filter(({ name, ph }) => name === "RunTask" && ph === "X").map(({ dur, tdur }) => (tdur ?? dur) / 1000);
const shifts = (events) => events.filter(({ name, args }) => name === "LayoutShift" && !args.data.had_recent_input).map(({ args }) => args.data.score);
const sum = (numbers) => numbers.reduce((all, each) => all + each, 0);

/** A context whose pages note when a thread was painted, when the server told a token, and when that was painted. */
async function watcher() {
  const context = await person();
  await context.addInitScript(() => {
    const Socket = window.WebSocket;
    const clock = () => performance.timeOrigin + performance.now();
    window.WebSocket = class extends Socket {
      constructor(...all) {
        super(...all);
        this.addEventListener("message", ({ data }) => {
          if (window.first || !data.includes('"text-delta"')) return;
          const first = (window.first = { told: JSON.parse(data).params.timestamp, heard: clock() });
          const texts = () => [...document.querySelectorAll(".turn .md")].map(({ textContent }) => textContent).join("").length;
          const before = texts();
          const look = () => (texts() > before ? requestAnimationFrame(() => (first.painted = clock())) : requestAnimationFrame(look));
          requestAnimationFrame(look);
        });
      }
    };
    window.first = {};
    const look = () => (document.querySelector(".log[role] .md") ? requestAnimationFrame(() => (window.opened = performance.now())) : requestAnimationFrame(look));
    look();
  });
  return context;
}

/** What grows as one block: its text, which the graph `echo` says word by word, 200 a second. */
const lines = (count, line) => Array.from({ length: count }, (_, place) => line(place)).join("\n");
const BLOCKS = {
  "a code block of 400 lines": `\`\`\`python\n${lines(400, (place) => `value_${place}=compute(${place},"some name") # comment`)}\n\`\`\``,
  "a list of 150 entries": lines(150, (place) => `- Entry ${place} has **some** words and \`code\``),
  "a table of 150 rows": `| a | b | c |\n|---|---|---|\n${lines(150, (place) => `| ${place} | **two** | three |`)}`,
};

async function stream(page, name, said = `talk ${TOKENS} ${1 / RATE}`) {
  await page.tab.evaluate(() => (window.first = null));
  // To fill the field with a long text at once is no part of it.
  await page.tab.fill("#message", said);
  const events = await traced(page, () => page.enter());
  const found = tasks(events);
  const first = await page.tab.evaluate(() => window.first);
  tell(`${name}: first token, from the server's event to the screen`, first.painted - first.told, 100, "ms");
  tell(`${name}: longest task`, Math.max(...found), LONG_TASK, "ms");
  tell(`${name}: layout shift`, sum(shifts(events)), 0, "  ");
  console.log(`    busy for ${Math.round(sum(found))} ms; ${found.filter((each) => each > LONG_TASK).length} of ${found.length} tasks are long; first token heard ${Math.round(first.heard - first.told)} ms after its event`);
}

test("the page keeps its limits", async () => {
  const context = await watcher();
  const short = await chat(context, { assistant: "obeying" });
  await short.ask("talk 3");
  await stream(short, "a new thread");
  await short.tab.close();

  const blocks = await chat(context, { thread: await long(30, "echo"), ready: ".answer" });
  blocks.tab.setDefaultTimeout(120_000);
  for (const [name, text] of Object.entries(BLOCKS)) await stream(blocks, `after 30 messages, ${name}`, text);
  await blocks.tab.close();

  const thread = await long(1000, "obeying");
  const opened = [];
  for (let time = 0; time < 5; time += 1) {
    const page = await chat(context, { thread });
    await page.tab.waitForFunction(() => window.opened);
    opened.push(await page.tab.evaluate(() => window.opened));
    await page.tab.close();
  }
  opened.sort((one, other) => one - other);
  tell("1,000 messages: opened, the median of five", opened[2], 1000, "ms");

  const page = await chat(context, { thread });
  const open = await traced(page, async () => {
    await page.tab.reload();
    await page.tab.waitForFunction(() => window.opened);
  });
  console.log(`    the page is busy for ${Math.round(sum(tasks(open)))} ms until it is open`);
  await page.tab.waitForFunction(() => document.querySelectorAll(".bubble").length === 500);
  const scrolled = await traced(page, () => page.tab.evaluate(scroll));
  tell("1,000 messages: longest task while it is scrolled", Math.max(...tasks(scrolled)), LONG_TASK, "ms");
  await page.tab.evaluate(() => document.querySelector(".newest").click());
  await stream(page, "1,000 messages");
  if (beyond.length) throw new Error(`Beyond the limit: ${beyond.join("; ")}`);
});

/** In the page: scroll from the end to the beginning, 200 pixels a frame at most for 5 seconds. */
function scroll() {
  const log = document.querySelector(".log");
  return new Promise((resolve) => {
    const end = performance.now() + 5000;
    const step = () => {
      log.scrollBy(0, -200);
      if (log.scrollTop > 0 && performance.now() < end) requestAnimationFrame(step);
      else resolve();
    };
    step();
  });
}
