// StreamController, the base of every v2 hook, over TRANSPORT sse or websocket: pages that are reloaded during runs.
import { Client } from "@langchain/langgraph-sdk";
import { StreamController } from "@langchain/langgraph-sdk/stream";
import { GRAPH, assert, client, eventually, say, test, url } from "./harness.mjs";

const { TRANSPORT: transport = "sse" } = process.env;
const words = (count) => Array.from({ length: Number(count) }, (_, place) => `w${place} `).join("");
const steps = (count) => Array.from({ length: count }, (_, place) => `step ${place + 1}`);

/** A page on a thread, a new one by default, reduced to the hooks' controller. */
class Page {
  constructor(threadId) {
    const stock = new Client({ apiUrl: url, apiKey: null });
    this.controller = new StreamController({ assistantId: GRAPH, client: stock, transport, threadId: threadId ?? null });
    this.controller.activate();
    /** The most messages and interrupts shown at once, and all interrupts shown. */
    this.shown = { messages: 0, questions: new Set() };
    this.controller.rootStore.subscribe(() => this.look());
  }

  get state() {
    return this.controller.rootStore.getSnapshot();
  }

  look() {
    this.shown.messages = Math.max(this.shown.messages, this.state.messages.length);
    for (const { value } of this.state.interrupts) this.shown.questions.add(JSON.stringify(value));
  }

  texts = () => this.state.messages.map((message) => message.text);
  questions = () => this.state.interrupts.map(({ value }) => value.question);
  send = (text, options) => void this.controller.submit(say(text), options).catch((error) => (this.error = error));
  answer = (text) => void this.controller.respond(text).catch((error) => (this.error = error));
  has = (text) => eventually(() => this.texts().some((each) => each.startsWith(text)), { what: `${text}: ${this.texts()}` });

  async asks(question) {
    await eventually(() => this.questions().includes(question), { what: `${question} is asked: ${this.questions()}` });
    assert.deepEqual(this.questions(), [question]);
  }

  /** Wait until the messages are these and no run is active; check that no other messages were shown, and no interrupt waits. */
  async shows(expected) {
    const there = () => !this.state.isLoading && JSON.stringify(this.texts()) === JSON.stringify(expected);
    await eventually(there, { what: `${expected}` }).catch((error) => {
      assert.deepEqual(this.texts(), expected);
      throw error;
    });
    assert.ok(this.shown.messages <= expected.length, `${this.shown.messages} messages were shown at once.`);
    assert.deepEqual(this.questions(), []);
    assert.equal(this.error ?? this.state.error, undefined);
  }

  /** Whether the server has the thread. */
  stored = () => client.threads.get(this.state.threadId).catch(() => undefined);

  /** Reload the page: it loses its state, and reads the thread. */
  async reload() {
    const { threadId } = this.state;
    await this.controller.dispose();
    const page = new Page(threadId);
    await page.controller.hydrate();
    return page;
  }
}

/** Use a page that may be reloaded; close the last one. */
const onPage = (use) => async () => {
  const page = await use(new Page());
  await page.controller.dispose();
};

test(
  "a reload in the middle of a run shows all of it, and nothing twice",
  onPage(async (page) => {
    page.send("march 8 0.15");
    await page.has("step 2");
    page = await page.reload();
    await page.has("step 4");
    await page.shows(["march 8 0.15", ...steps(8)]);
    page.send("talk 12 0.15");
    await page.has("w0 ");
    page = await page.reload();
    await page.shows(["march 8 0.15", ...steps(8), "talk 12 0.15", words(12)]);
    return page;
  }),
);

test(
  "a reload before a run has begun shows all of it",
  onPage(async (page) => {
    page.send("talk 2");
    await page.shows(["talk 2", words(2)]);
    const { threadId } = page.state;
    for (const [seconds, said] of [[0, "talk 3"], [1, "talk 4"]]) {
      const before = page.texts();
      await client.runs.create(threadId, GRAPH, { input: say(said), afterSeconds: seconds });
      page = await page.reload();
      await page.shows([...before, said, words(said.at(-1))]);
    }
    return page;
  }),
);

test(
  "what was answered is not asked again by a command after a reload",
  onPage(async (page) => {
    page.send("ask");
    await page.asks("well?");
    page.answer("yes");
    await page.shows(["ask", "You said yes."]);
    page.send("talk 8 0.15");
    await page.has("w0 ");
    page = await page.reload();
    await page.has("w0 w1 ");
    // The page's next command comes during the attempt that it joined.
    page.send("talk 2", { multitaskStrategy: "enqueue" });
    const said = ["ask", "You said yes.", "talk 8 0.15", words(8), "talk 2", words(2)];
    await page.shows(said);
    assert.deepEqual([...page.shown.questions], []);
    page.send("poll");
    await eventually(() => page.questions().length === 2);
    assert.deepEqual(page.questions().sort(), ["milk?", "tea?"]);
    page = await page.reload();
    assert.deepEqual(page.questions().sort(), ["milk?", "tea?"]);
    void page.controller.respondAll(Object.fromEntries(page.state.interrupts.map(({ id }) => [id, "yes"])));
    await page.shows([...said, "poll", "tea: yes", "milk: yes"]);
    assert.equal(page.shown.questions.size, 2);
    return page;
  }),
);

test(
  "a question that comes after a reload is shown, and one that a run answers is not",
  onPage(async (page) => {
    page.send("ask 3 0.4");
    await eventually(() => page.stored());
    page = await page.reload();
    await page.asks("well?");
    for (const text of ["a", "b"]) {
      page.answer(text);
      await eventually(() => page.questions().length === 0);
      if (text === "b") {
        page = await page.reload();
        assert.deepEqual(page.questions(), [], "What a run answers is not asked meanwhile.");
      }
      await page.asks("well?");
    }
    page.answer("c");
    await page.shows(["ask 3 0.4", "You said a and b and c."]);
    return page;
  }),
);

test(
  "a run that takes over another one after a reload asks, and only what it asks is asked",
  onPage(async (page) => {
    page.send("ask");
    await page.asks("well?");
    page.answer("yes");
    await page.shows(["ask", "You said yes."]);
    page.send("march 100 0.1");
    await page.has("step 1");
    page = await page.reload();
    await page.has("step 2");
    page.send("poll", { multitaskStrategy: "interrupt" });
    await eventually(() => page.questions().length === 2);
    assert.deepEqual(page.questions().sort(), ["milk?", "tea?"]);
    assert.equal(page.shown.questions.size, 2);
    return page;
  }),
);
