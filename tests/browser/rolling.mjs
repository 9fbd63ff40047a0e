// Two processes behind a balancer are replaced one after the other while two tabs, one at each, show an answer.
import { agrees, check, steps, watch } from "./words.mjs";
import { chat, fault, PATIENCE, person, test, within } from "./site.mjs";

const COUNT = 40;

test("a rolling restart of two processes loses and repeats nothing", async () => {
  const context = await person();
  // Four servers start beside the browser.
  context.setDefaultTimeout(within(PATIENCE));
  const page = await chat(context, { assistant: "obeying" });
  await page.send(`march ${COUNT} 0.2`);
  await page.has(".md", "step 2");
  // The next connections go to the other process.
  await fault("turn");
  const other = await chat(context, { thread: page.thread });
  await other.has(".md", "step 3");
  const both = [page, other];
  await Promise.all(both.map(watch));
  await fault("roll");
  await fault("roll");
  await Promise.all(both.map((each) => each.idle()));
  for (const each of both) {
    await check(each, steps(COUNT));
    await agrees(each, steps(COUNT));
    await each.has(".step.break", "The server stopped");
    await each.done();
  }
  // The tabs are in step at the new processes.
  await other.ask("talk 3");
  await page.has(".md", "w2");
  await page.idle();
  await agrees(page, [...steps(COUNT), "w0 w1 w2"]);
});
