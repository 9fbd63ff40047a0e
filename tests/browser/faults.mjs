// The server is killed or restarted while pages of each hook read runs: they continue on their own, and show everything once.
import { another, assert, fault, HOOKS, named, test } from "./harness.mjs";

const WORDS = Array.from({ length: 14 }, (_, place) => `w${place} `).join("");
const STEPS = Array.from({ length: 8 }, (_, place) => `step ${place + 1}`);
const SAID = [
  { order: "talk 14 0.15", sign: "w2 ", expected: ["talk 14 0.15", WORDS] },
  { order: "march 8 0.15", sign: "step 2", expected: ["march 8 0.15", ...STEPS] },
];
const opened = HOOKS.flatMap((hook) => SAID.map((said) => ({ name: `${named(hook)}: ${said.order}`, hook, ...said })));

for (const [how, what] of [
  ["kill", "the server is killed in the middle, and every page goes on"],
  ["stop", "the server is restarted in the middle, and every page goes on"],
]) {
  test(what, { concurrency: true }, async (t) => {
    for (const each of opened) {
      each.chat ??= await another(each.hook);
      await each.chat.tab.evaluate(() => window.fresh());
    }
    await Promise.all(opened.map(({ chat, order }) => chat.send(order)));
    await Promise.all(opened.map(({ chat, sign }) => chat.has("#messages li", sign)));
    await fault(how);
    await fault("start");
    await Promise.all(
      opened.map(({ name, chat, expected }) =>
        t.test(name, async () => {
          await chat.shows(expected);
          const most = Math.max(...(await chat.seen()).map((shown) => shown.split("\n").length));
          assert.ok(most <= expected.length, "Something was shown twice for a while.");
          await chat.send("talk 1");
          await chat.shows([...expected, "talk 1", "w0 "]);
          chat.done();
        }),
      ),
    );
  });
}
