// Accessibility: axe finds nothing in any state, light and dark, wide and narrow; and the layout does not shift.
import { assert, chat, person, sleep, test, url } from "./site.mjs";

const QUESTION = JSON.stringify({ action_requests: [{ name: "send_mail", args: { to: "ada", copies: 1, text: "x ".repeat(300) } }, { name: "publish", args: {} }], review_configs: [] });

for (const theme of ["light", "dark"]) {
  for (const width of [1280, 360]) {
    test(`axe finds nothing, ${theme}, ${width} px`, async () => {
      const context = await person({ theme, width, height: 800 });
      // Colours during a transition are intermediate.
      await context.addInitScript(() => addEventListener("DOMContentLoaded", () => document.documentElement.classList.add("still")));
      const page = await chat(context);
      const states = [];
      const look = async (name) => {
        states.push(...(await page.axe()).map((each) => `${name}: ${each}`));
        const wide = await page.tab.evaluate(() => document.documentElement.scrollWidth);
        if (wide > width) states.push(`${name}: ${wide} px wide`);
      };
      const open = async (assistant, text) => {
        await page.tab.evaluate((name) => fetch("/assistants/search", { method: "POST", body: JSON.stringify({ graph_id: name }) }).then((answer) => answer.json()).then(([{ assistant_id: id }]) => localStorage.setItem("chat-assistant", id)), assistant);
        await page.tab.goto(`${url}/chat/`);
        await page.tab.locator("#message").waitFor();
        await page.send(text);
      };
      await look("empty");
      await open("obeying", "talk 60 0.03");
      await page.has(".md", "w5 ");
      await page.send("talk 3");
      await page.has(".tray");
      await look("streaming, with one that waits");
      await page.tab.locator(".bubble", { hasText: /^talk 3$/ }).waitFor();
      await page.idle();
      await page.ask("weather Oslo");
      await page.tab.locator(".card summary").first().click();
      await page.ask("fail");
      await look("done, a tool, a failure");
      await open("echo", "thinking: hm\n# Title\n\n[x](https://example.com) `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\n# comment\nx = 'text' + 1\n```");
      await page.has(".hljs-string");
      await page.idle();
      await look("markdown");
      await open("asking", QUESTION);
      await page.has(".q");
      await page.tab.locator(".fold summary").first().click();
      await page.button("Reject…").first().click();
      await look("a question");
      await page.tab.evaluate(() => document.activeElement.blur());
      await page.tab.keyboard.press("?");
      await page.has("dialog");
      await look("keys");
      await page.tab.keyboard.press("Escape");
      await page.tab.goto(`${url}/chat/${crypto.randomUUID()}/`);
      await page.has(".empty", "not here");
      await look("gone");
      await page.tab.goto(`${url}/login/`);
      await look("login");
      assert.deepEqual(states, []);
    });
  }
}

test("a finished answer is announced once, and a question too", async () => {
  const page = await chat(await person(), { assistant: "obeying" });
  await page.tab.evaluate(() => {
    window.said = [];
    new MutationObserver(() => window.said.push(document.querySelector("#announce").textContent)).observe(document.querySelector("#announce"), { childList: true });
  });
  await page.ask("talk 3");
  await page.send("ask");
  await page.has(".q");
  await page.tab.waitForFunction(() => window.said.length >= 2);
  assert.deepEqual(await page.tab.evaluate(() => window.said), ["Answer: w0 w1 w2", "A question waits: well?"]);
  assert.equal(await page.tab.evaluate(() => document.activeElement.id), "message");
});

test("nothing moves while an answer streams", async () => {
  const page = await chat(await person({ height: 700 }), { assistant: "echo" });
  await page.ask("A first one.");
  await page.send("# A title\n\nSome words, and then\n\n- a list\n- of things\n\n```python\nx = 1\n```\n\nand more. " + "More words. ".repeat(100));
  await page.has(".md.growing");
  await page.tab.evaluate(() => {
    window.shifts = [];
    new PerformanceObserver((list) => window.shifts.push(...list.getEntries().filter(({ hadRecentInput }) => !hadRecentInput).map(({ value }) => value))).observe({ type: "layout-shift" });
  });
  await page.idle();
  await sleep(300);
  const sum = (await page.tab.evaluate(() => window.shifts)).reduce((all, each) => all + each, 0);
  assert.ok(sum < 0.01, `It moved by ${sum}.`);
});

test("text from right to left stands on the right", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("שלום עולם");
  assert.equal(await page.tab.locator(".md").evaluate((element) => getComputedStyle(element).direction), "rtl");
});

test("without JavaScript a thread can be read", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("Words for everybody");
  const context = await person({ javaScriptEnabled: false });
  const tab = await context.newPage();
  await tab.goto(`${url}/chat/${page.thread}/`);
  await tab.getByText("Without JavaScript this page only shows the messages").waitFor();
  assert.equal(await tab.getByText("Words for everybody").count(), 3);
});
