// An answer whose words are numbered: what a page shows of it never repeats, loses or takes back a word.
import { assert, plain } from "./site.mjs";

export const words = (count) => Array.from({ length: count }, (_, place) => `w${place}`);
export const steps = (count) => Array.from({ length: count }, (_, place) => `step ${place + 1}`);

/** Record what the page shows of its answers at each change. */
export const watch = (page) => page.tab.evaluate(() => {
  window.seen = [];
  const look = () => window.seen.push([...document.querySelectorAll(".turn > .step > .md")].map((element) => element.innerText).join(" "));
  window.watcher?.disconnect();
  window.watcher = new MutationObserver(look);
  window.watcher.observe(document.querySelector("#stage"), { childList: true, subtree: true, characterData: true });
});

/** Each text seen since `watch` was the beginning of the expected one, and none was shorter than the one before. */
export async function check(page, expected) {
  const seen = await page.tab.evaluate(() => window.seen);
  const whole = expected.join(" ").split(" ");
  let before = [];
  for (const text of seen.map((each) => plain(each).split(" ").filter(Boolean))) {
    assert.deepEqual(text, whole.slice(0, text.length));
    assert.ok(text.length >= before.length, `The text shrank from ${before.length} to ${text.length} words.`);
    before = text;
  }
  assert.equal(before.length, whole.length);
}

/** The page shows what the state has, and this. */
export async function agrees(page, expected) {
  const [shown, kept] = [await page.texts(), await page.state()].map((texts) => texts.map(plain));
  assert.deepEqual(shown, kept);
  assert.deepEqual(shown, expected);
}
