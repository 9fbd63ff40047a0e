// What people add to a message: files by button, drop and paste; and what they take from the page.
import { assert, chat, person, plain, test } from "./site.mjs";

test("files are added, refused with a reason, and sent", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
  await page.tab.setInputFiles("input[type=file]", [
    { name: "dot.png", mimeType: "image/png", buffer: png },
    { name: "note.md", mimeType: "text/markdown", buffer: Buffer.from("# A note") },
    { name: "tool.exe", mimeType: "application/x-msdownload", buffer: Buffer.from("MZ") },
    { name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(5_000_000) },
  ]);
  await page.has(".chip", "dot.png");
  await page.has("[role=alert]", "tool.exe is no image, PDF or text. large.png has 5.0 MB");
  await page.button("Remove note.md").click();
  await page.ask("What is this?");
  await page.tab.locator(".bubble img").waitFor();
  await page.tab.reload();
  await page.tab.locator(".bubble img").waitFor();
  assert.ok(await page.tab.locator(".bubble img").evaluate((image) => image.naturalWidth === 1));
  await page.done();
});

/** Let go of a file over the page, or paste it. */
const give = (page, type) => page.tab.evaluate((name) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["a,b\n1,2\n"], `${name}.csv`, { type: "text/csv" }));
  const place = document.querySelector("#message");
  if (name === "paste") place.dispatchEvent(new ClipboardEvent("paste", { clipboardData: dataTransfer, bubbles: true, cancelable: true }));
  else for (const each of ["dragover", "drop"]) place.dispatchEvent(new DragEvent(each, { dataTransfer, bubbles: true, cancelable: true }));
}, type);

test("files are dropped and pasted, and a message is copied", async () => {
  const context = await person();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await chat(context, { assistant: "echo" });
  await page.has(".opts", "up to 4.0 MB each");
  await give(page, "drop");
  await page.has(".chip", "drop.csv");
  await give(page, "paste");
  await page.has(".chip", "paste.csv");
  await page.ask("Both of them");
  const bubble = page.tab.locator(".bubble");
  assert.equal(plain(await bubble.innerText()), "Both of them drop.csv 1 kB paste.csv 1 kB");
  await bubble.getByText("paste.csv").click();
  assert.deepEqual(await bubble.locator(".code:visible").allInnerTexts(), ["a,b\n1,2\n"]);
  await page.button("Copy the answer").click();
  assert.match(await page.tab.evaluate(() => navigator.clipboard.readText()), /Both of them/);
  await page.done();
});

test("an edit changes what was written, and the files stay", async () => {
  const page = await chat(await person(), { assistant: "echo" });
  const log = Array.from({ length: 60 }, (_, line) => `line ${line}`).join("\n");
  await page.tab.setInputFiles("input[type=file]", [{ name: "worker.log", mimeType: "text/plain", buffer: Buffer.from(log) }]);
  await page.has(".chip", "worker.log");
  await page.ask("Why did it stop?");
  assert.ok((await page.tab.locator(".bubble").boundingBox()).height < 140);
  await page.tab.locator(".me").getByRole("button", { name: "Edit" }).click();
  const field = page.tab.getByLabel("The message as it should be");
  assert.equal(await field.inputValue(), "Why did it stop?");
  await page.has(".edit", "With worker.log");
  await field.fill("When did it stop?");
  await field.press("Enter");
  await page.has(".md", "When did it stop?");
  await page.idle();
  assert.equal(plain(await page.tab.locator(".bubble").innerText()), "When did it stop? worker.log 1 kB");
  assert.deepEqual(await page.axe(), []);
  await page.done();
});
