// The pure modules of the pages, without a browser: what events amount to, files and their versions, versions of messages.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { load } from "./modules.mjs";

const { Artifacts, filesOf } = await load("protocol/artifacts.js");
const { ThreadModel } = await load("protocol/thread.js");
const { Draft, Drafts } = await load("chat/drafts.js");
const { ACCEPT, contentOf, limitTo, limitsText, partsOf, readFiles } = await load("chat/files.js");
const { learn, serverNow } = await load("protocol/clock.js");
const { titleOf } = await load("chat/titles.js");
const { timeline } = await load("chat/timeline.js");
const { Branches } = await load("chat/branches.js");

/** Feeds a model with events, numbered within an epoch. */
class Teller {
  constructor() {
    this.model = new ThreadModel();
    this.epoch = 0;
    this.count = 0;
  }

  event(method, data, { namespace = [], node = "node", id = `${this.epoch}-${this.count}` } = {}) {
    this.count += 1;
    this.model.apply({ type: "event", method, event_id: id, seq: this.epoch * 2 ** 32 + this.count, params: { namespace, data, node, timestamp: this.count * 10 } });
  }

  lifecycle = (run, event, more = {}) => this.event("lifecycle", { event, ...more }, { id: `synth:${run}:lc||${event}` });
  values = (messages, more = {}) => this.event("values", { messages, ...more });

  say(id, ...pieces) {
    this.event("messages", { event: "message-start", id, role: "ai" });
    this.event("messages", { event: "content-block-start", id, index: 0, content: { type: "text", text: "" } });
    for (const text of pieces) this.event("messages", { event: "content-block-delta", id, index: 0, delta: { type: "text-delta", text } });
  }

  texts = () => this.model.root.all().map(({ blocks }) => blocks.map(({ text }) => text).join(""));
}

const human = (id, content = id) => ({ type: "human", id, content });
const ai = (id, content = id) => ({ type: "ai", id, content });

test("a message grows, and the state's takes its place", () => {
  const teller = new Teller();
  teller.lifecycle("r1", "running");
  teller.values([human("h")]);
  teller.say("a", "one ", "two");
  assert.deepEqual(teller.texts(), ["h", "one two"]);
  assert.ok(teller.model.root.all()[1].streaming);
  teller.event("messages", { event: "message-finish", id: "a" });
  teller.values([human("h"), ai("a", "one two")]);
  teller.lifecycle("r1", "completed");
  assert.deepEqual(teller.texts(), ["h", "one two"]);
  assert.equal(teller.model.active, null);
});

test("what a lost attempt has said stays until the next one has said as much", () => {
  const teller = new Teller();
  teller.lifecycle("r1", "running");
  teller.values([human("h")]);
  teller.say("a", "one ", "two ", "three ");
  teller.epoch = 1;
  teller.say("b", "one ");
  assert.deepEqual(teller.texts(), ["h", "one two three "]);
  assert.equal(teller.model.breaks.length, 1);
  for (const text of ["two ", "three ", "four"]) teller.event("messages", { event: "content-block-delta", id: "b", index: 0, delta: { type: "text-delta", text } });
  assert.deepEqual(teller.texts(), ["h", "one two three four"]);
});

test("messages that have not changed stay the same objects, and know their runs", () => {
  const teller = new Teller();
  teller.lifecycle("r1", "running");
  teller.values([human("h1")]);
  teller.values([human("h1"), ai("a1")]);
  teller.lifecycle("r1", "completed");
  const [first] = teller.model.root.messages;
  teller.lifecycle("r2", "running");
  teller.values([human("h1"), ai("a1", "changed"), human("h2")]);
  assert.equal(teller.model.root.messages[0], first);
  assert.deepEqual(teller.texts(), ["h1", "changed", "h2"]);
  assert.deepEqual([...teller.model.runOf], [["a1", "r1"], ["h2", "r2"]]);
});

test("files are read in every form in which graphs keep them", () => {
  const found = filesOf({
    files: { "/a.md": "text", "b.md": { content: ["one", "two"] }, "c.png": { content: "aGk=", encoding: "base64", mime_type: "image/png" }, odd: 3 },
    artifacts: [{ title: "d.py", text: "pass" }, "/a/path", null],
  });
  assert.deepEqual([...found.values()].map(({ name, content, binary }) => [name, content, binary]), [["a.md", "text", false], ["b.md", "one\ntwo", false], ["c.png", "aGk=", true], ["d.py", "pass", false]]);
  assert.equal(filesOf(null).size, 0);
});

test("a file's versions are its different contents, also those of a longer history", () => {
  const artifacts = new Artifacts();
  for (const text of ["three", "three", "four"]) artifacts.take({ files: { a: text } }, { run: "r" });
  const contents = () => artifacts.files.get("a").map(({ content }) => content);
  assert.deepEqual(contents(), ["three", "four"]);
  artifacts.extend(["four", "three", "two", "two", "one"].map((text) => ({ values: { files: { a: text } } })));
  assert.deepEqual(contents(), ["one", "two", "three", "four"]);
  assert.equal(artifacts.files.get("a").at(-1).run, "r");
  artifacts.extend([{ values: { files: { a: "four" } } }]);
  assert.deepEqual(contents(), ["one", "two", "three", "four"]);
});

test("runs of other clients are found by their texts, in order, and are versions of each other", () => {
  const run = (id, more = {}) => ({ run_id: id, status: "success", parent: null, message: null, said: null, ...more });
  const branches = new Branches([run("r4", { parent: "r1", message: "m4" }), run("r3", { said: "one" }), run("r2", { said: "two" }), run("r1", { said: "one" })]);
  const message = (id, text) => ({ id, role: "human", blocks: [{ type: "text", text }] });
  branches.recognise([message("m1", "one"), message("m4", "two, again")]);
  assert.equal(branches.ofMessage("m1").id, "r1");
  assert.deepEqual({ ...branches.versions("m4"), runs: null }, { place: 2, total: 2, runs: null });
  assert.equal(branches.leaf("r2"), "r3");
  branches.recognise([message("m1", "one"), message("m2", "two"), message("m3", "one")]);
  assert.deepEqual(["m2", "m3"].map((id) => branches.ofMessage(id).id), ["r2", "r3"]);
  assert.equal(branches.versions("unknown"), undefined);
});

test("of a thread whose beginning is not listed, what is known is known", () => {
  const run = (id, more = {}) => ({ run_id: id, status: "success", parent: null, message: null, said: null, ...more });
  const listed = [run("r6", { parent: "r1", message: "m6" }), run("r5", { parent: "r3", message: "m5" }), run("r4", { said: "one" }), run("r3", { message: "m3" })];
  const cut = new Branches(listed, { isCut: true });
  const message = (id, text) => ({ id, role: "human", blocks: [{ type: "text", text }] });
  // The first of two that say the same is older than all that are listed.
  cut.recognise([message("m1", "one"), message("m4", "one")]);
  assert.equal(cut.ofMessage("m1"), undefined);
  assert.equal(cut.ofMessage("m4").id, "r4");
  assert.equal(cut.versions("m3"), undefined);
  assert.equal(cut.ofMessage("m6").parent, "r1");
  const whole = new Branches([...listed, run("r2", { parent: "r1", message: "m2" }), run("r1", { parent: "", message: "m0" })]);
  assert.deepEqual({ ...whole.versions("m6"), runs: null }, { place: 2, total: 2, runs: null });
  assert.equal(whole.ofMessage("m3").parent, "r2");
});

test("a draft has one limit for all of its files, says what could not be read, and gets back what was not sent", async () => {
  const draft = new Draft("t");
  const text = (name, size) => new File(["x".repeat(size)], name, { type: "text/plain" });
  const unreadable = Object.assign(text("gone.txt", 3), { text: () => Promise.reject(new Error("gone")) });
  const adds = [draft.add(Array.from({ length: 12 }, (_, place) => text(`${place}.txt`, 400_000))), draft.add([text("last.txt", 400_000), unreadable])];
  assert.ok(!draft.isEmpty && draft.reads === 2);
  assert.deepEqual((await Promise.all(adds)).flat(), ["last.txt is left out: the files of a message may have 5.0 MB together.", "gone.txt could not be read."]);
  assert.equal(draft.files.length, 12);
  draft.text = "first";
  const message = draft.take();
  assert.ok(draft.isEmpty);
  draft.text = "second";
  draft.putBack(message);
  assert.equal(draft.text, "first\n\nsecond");
  assert.equal(draft.files.length, 12);
});

test("each thread has its draft, and a thread that begins takes what is being written", () => {
  const drafts = new Drafts();
  drafts.of(null).text = "one";
  drafts.begin("t1");
  drafts.of("t2").text = "two";
  assert.deepEqual([null, "t1", "t2"].map((thread) => drafts.of(thread).text), ["", "one", "two"]);
});

test("a message's content is taken apart as it was written", async () => {
  const draft = new Draft("t");
  await draft.add([new File(["a,b"], "a.csv", { type: "text/csv" })]);
  draft.files = [...draft.files, { name: "p.png", block: { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } } }];
  for (const text of ["Look:\n\nat these", ""]) {
    const content = contentOf({ text, files: draft.files });
    const parts = partsOf(content);
    assert.equal(parts.text, text);
    assert.deepEqual(parts.files.map(({ name }) => name), ["a.csv", "Picture"]);
    assert.deepEqual(contentOf(parts), content);
  }
  assert.deepEqual(partsOf("text"), { text: "text", files: [] });
  // Of a client that writes several texts: these are no files.
  const { text, files } = partsOf(["One", { type: "text", text: "And then:\n\ntwo" }, { type: "file", filename: "a.pdf", base64: "aGk=" }]);
  assert.equal(text, "One\n\nAnd then:\n\ntwo");
  assert.deepEqual(files.map(({ name }) => name), ["a.pdf"]);
});

/** A thread whose last message has called so many sub-agents, which have not ended. */
function calling(count) {
  const teller = new Teller();
  const numbers = Array.from({ length: count }, (_, number) => number);
  teller.lifecycle("r1", "running");
  teller.values([human("h"), { ...ai("a", ""), tool_calls: numbers.map((number) => ({ id: `c${number}`, name: "task", args: {} })) }]);
  for (const number of numbers) {
    const namespace = [`tools:${number}`];
    teller.event("lifecycle", { event: "started", graph_name: "researcher", cause: { tool_call_id: `c${number}` } }, { namespace });
    teller.event("values", { messages: [human(`task ${number}`), ai(`answer ${number}`)] }, { namespace });
  }
  return teller;
}

const shown = ({ model }) => timeline(model, model.root.all()).at(-1).steps;

test("the one sub-agent of a call is in it, and the same until something about it changes", () => {
  const teller = calling(2);
  assert.deepEqual(shown(teller).map(({ call, agents }) => [call.id, agents.map(({ name, task, last, state }) => [name, task, last, state])]), [
    ["c0", [["researcher", "task 0", "answer 0", "running"]]],
    ["c1", [["researcher", "task 1", "answer 1", "running"]]],
  ]);
  const namespace = ["tools:1"];
  teller.event("lifecycle", { event: "completed" }, { namespace });
  const [, { agents: [before] }] = shown(teller);
  assert.equal(before.state, "done");
  teller.event("custom", { payload: {} });
  assert.equal(shown(teller)[1].agents[0], before);
  // It is resumed, as after a question, and says more.
  teller.event("lifecycle", { event: "running" }, { namespace });
  teller.event("messages", { event: "message-start", id: "more", role: "ai" }, { namespace });
  teller.event("messages", { event: "content-block-start", id: "more", index: 0, content: { type: "text", text: "More" } }, { namespace });
  const [, { agents: [after] }] = shown(teller);
  assert.deepEqual([after.state, after.last], ["running", "More"]);
  // What it has said becomes the thread's own.
  teller.event("lifecycle", { event: "completed" }, { namespace });
  teller.values([human("h"), { ...ai("a", ""), tool_calls: [{ id: "c1", name: "task", args: {} }] }, ...["task 1", "answer 1", "more"].map((id) => ai(id))]);
  assert.equal(shown(teller)[0].agents[0].kind, "speaker");
});

test("a sub-agent costs as much among 300 as among 50", () => {
  const [few, many] = [50, 300].map((count) => ({ teller: calling(count), least: Infinity }));
  for (let round = 0; round < 40; round += 1) {
    for (const each of [few, many]) {
      const begun = performance.now();
      shown(each.teller);
      each.least = Math.min(each.least, performance.now() - begun);
    }
  }
  assert.ok(many.least < 10 * few.least, `${many.least.toFixed(2)} ms for 300, ${few.least.toFixed(2)} ms for 50`);
});

test("an answer that was cut off goes on where it stood, before what was sent since", () => {
  const teller = new Teller();
  teller.lifecycle("r1", "running");
  teller.values([human("h1")]);
  const said = { key: "h2", id: "h2", role: "human", blocks: [] };
  const kinds = (waiting) => timeline(teller.model, teller.model.root.all(), { sent: [said], waiting }).map(({ kind, key }) => `${kind} ${key}`);
  assert.deepEqual(kinds({ kind: "break", text: "cut" }), ["human h1", "turn turn-h1", "human h2"]);
  assert.deepEqual(kinds({ text: "Working…" }), ["human h1", "human h2", "turn turn-h2"]);
});

test("files are limited to what the server takes in one request, and the dialog offers what is taken", async () => {
  const file = (name, size) => ({ name, size, type: "", text: async () => "x" });
  assert.match(limitsText(), /4.0 MB each and 5.0 MB/);
  limitTo(1_000_000);
  assert.match(limitsText(), /480 kB each and 600 kB/);
  assert.deepEqual((await readFiles([{ name: "a.pdf", size: 500_000, type: "application/pdf" }])).problems, ["a.pdf has 500 kB; a file may have 480 kB."]);
  assert.equal((await readFiles([file("a.txt", 390_000), file("b.txt", 390_000)])).files.length, 1);
  limitTo(8 * 1024 * 1024);
  assert.match(limitsText(), /4.0 MB each and 5.0 MB/);
  const offered = ACCEPT.split(",").filter((each) => each.startsWith("."));
  assert.ok([".log", ".go", ".rs", ".sh", ".tsx", ".yml"].every((ending) => offered.includes(ending)));
  const taken = await readFiles(offered.map((ending) => file(`a${ending}`, 1)));
  assert.deepEqual([taken.files.length, taken.problems], [offered.length, []]);
});

test("the server's time is the latest that it told, whatever the browser's clock says", () => {
  const near = (time) => Math.abs(serverNow() - time) < 5000;
  assert.ok(near(Date.now()));
  const behind = Date.now() - 600_000;
  learn(behind - 3_600_000);
  learn(behind);
  learn(behind - 60_000);
  learn(undefined);
  assert.ok(near(behind));
});

test("a thread is called by the rule that the page without scripts has", () => {
  const cases = JSON.parse(readFileSync(new URL("../support/titles.json", import.meta.url), "utf8"));
  for (const [why, values, metadata, title] of cases) {
    assert.equal(titleOf({ metadata }, values), title, why);
    const extracted = { title: values.title, first: values.messages?.[0]?.content };
    assert.equal(titleOf({ metadata, extracted }), title, `${why}, in the list`);
  }
});
