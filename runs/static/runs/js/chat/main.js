// The page: which thread is open, and what its parts have to do with each other.

import { Banner } from "../parts/banner.js";
import { button, h } from "../parts/dom.js";
import { QuestionCard } from "../parts/question.js";
import { shorten } from "../parts/words.js";
import { Api, Refused } from "../protocol/api.js";
import { textOf } from "../protocol/messages.js";
import { Assistants } from "./assistants.js";
import { Composer } from "./composer.js";
import { Empty } from "./empty.js";
import { contentOf } from "./files.js";
import { Head } from "./head.js";
import { Log } from "./log.js";
import { Plan } from "./plan.js";
import { Session } from "./session.js";
import { Shell } from "./shell.js";
import { ThreadList, titleOf } from "./threads.js";
import { timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);

class Page {
  constructor(settings) {
    this.settings = settings;
    this.api = new Api(settings.api, { token: () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "" });
    this.assistants = new Assistants(this.api);
    this.list = new ThreadList($("threads"), this.api, { open: (id) => this.go(id), menu: (thread, anchor) => this.head.threadMenu(thread, anchor), address: (id) => this.address(id) });
    this.composer = new Composer({ send: (message, strategy) => this.send(message, strategy), stop: () => this.stop(), remove: (queued) => this.session?.remove(queued), editLast: () => this.editLast() });
    this.place = $("composer");
    this.place.append(this.composer.element);
    this.banner = new Banner($("banner"));
    this.plan = new Plan($("plan"));
    this.empty = new Empty({ say: (text) => this.say(text), open: (id) => this.go(id) });
    this.others = new BroadcastChannel("chat");
    this.context = {};
    this.head = new Head(this);
    this.shell = new Shell(this);
  }

  async start() {
    this.shell.listen();
    this.loaded = this.assistants.load().catch((error) => this.problem(error));
    await Promise.all([this.list.refresh(), this.loaded]);
    this.open(this.idOf(location.pathname));
  }

  // --- addresses

  address(id) {
    return `${this.settings.chat}${id}/`;
  }

  idOf(path) {
    return path.startsWith(this.settings.chat) ? path.slice(this.settings.chat.length).split("/")[0] || null : null;
  }

  login() {
    return `${this.settings.login}?next=${encodeURIComponent(location.pathname)}`;
  }

  go(id, options = {}) {
    const address = id ? this.address(id) : this.settings.chat;
    if (address !== location.pathname) history.pushState(null, "", address);
    this.open(id, options);
  }

  // --- a thread

  open(id, { fresh = false } = {}) {
    this.session?.close();
    this.card?.close();
    this.card = this.session = this.chosen = null;
    this.context = {};
    this.banner.show({ name: "closed" }, {});
    this.list.current = id;
    this.list.show();
    this.shell.side(false);
    this.log = null;
    if (id) this.follow(id, fresh);
    else this.showEmpty();
    this.render();
    if (!matchMedia("(pointer: coarse)").matches) this.composer.focus();
  }

  follow(id, fresh) {
    const session = (this.session = new Session(this.api, id, { positionUrl: `${this.address(id)}position/`, fresh }));
    this.log = new Log({ edit: (entry, text) => this.edit(entry, text), again: (entry) => this.again(entry), version: (entry, step) => this.version(entry, step) });
    const mine = (handle) => (event) => this.session === session && handle(event);
    session.addEventListener("change", mine(() => this.later()));
    session.addEventListener("connection", mine(() => this.banner.follow(session.connection, { running: () => Boolean(session.model.active), login: () => this.login() })));
    session.addEventListener("ended", mine(({ detail }) => this.ended(detail)));
    session.addEventListener("ready", mine(() => this.ready()));
    session.addEventListener("branch", mine(({ detail }) => this.keepBranch(detail)));
    session.open();
  }

  /** A branch that was looked at is looked at again after a reload. */
  ready() {
    const at = new URLSearchParams(location.search).get("at");
    if (at) this.session.show(at).catch(() => this.keepBranch(null));
  }

  keepBranch(run) {
    history.replaceState(null, "", run ? `?at=${run}` : location.pathname);
  }

  later() {
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.render();
    });
  }

  render() {
    const { session } = this;
    const stage = $("stage");
    const running = Boolean(session?.model.active);
    const gone = session && (session.phase === "gone" || session.phase === "failed");
    const shown = !session ? this.empty.element : gone ? this.goneElement(session) : this.log.element;
    if (stage.firstElementChild !== shown) stage.replaceChildren(shown);
    document.body.classList.toggle("is-empty", !session);
    this.placeComposer(gone);
    const still = Boolean(session?.catchingUp);
    const questions = session && !running && !session.view && !still ? [...session.model.questions.values()] : [];
    this.composer.update({ running, online: !session?.connection || session.connection.state.name !== "lost", asks: questions.length > 0, queued: session?.queued ?? [], empty: !session });
    if (!still) this.plan.update(session && !session.view ? session.model.values.todos : null);
    if (session && !gone) this.renderLog(session, questions);
    this.head.update();
  }

  /** It stands in the middle of an empty thread, and below any other. */
  placeComposer(gone) {
    const place = this.session ? $("main") : this.empty.slot;
    this.place.hidden = Boolean(gone);
    if (this.place.parentElement === place) return;
    place.append(this.place);
    if (!gone) this.composer.focus();
  }

  renderLog(session, questions) {
    const { model, view } = session;
    const still = session.catchingUp;
    const messages = view ? view.messages : still ? session.snapshot : model.root.all();
    const loading = session.phase === "loading";
    const entries = timeline(model, messages, { sent: session.sent, agents: !view && !still, waiting: still || (view && !session.sent.length) ? null : this.waiting(session, loading) });
    const idle = !model.active;
    entries.forEach((entry, place) => {
      if (entry.kind === "human") {
        entry.versions = session.branches.versions(entry.message.id);
        entry.editable = idle && Boolean(entry.versions);
      } else {
        const human = entries[place - 1];
        entry.repeatable = idle && human?.kind === "human" && Boolean(session.branches.versions(human.message.id));
        entry.asks = entry.last && questions.length > 0;
      }
    });
    this.log.update(entries);
    this.log.below(this.card4(questions));
    this.log.element.classList.toggle("loading", loading);
  }

  /** What is said while nothing on the page shows that something goes on. */
  waiting(session, loading) {
    const { model } = session;
    if (loading) return { text: "Loading the thread…" };
    const connection = session.connection?.state.name;
    if (model.active) {
      if (connection === "lost" && session.live) return { kind: "break", text: "The answer goes on when the server is back.", live: false };
      const busy = [...model.root.streamed.values()].some(({ done }) => !done) || model.below().some(({ status }) => status === "running") || [...model.tools.values()].some(({ status }) => status === "running");
      if (busy) return null;
      return { text: typeof model.progress?.message === "string" ? `${model.progress.message}…` : "Working…" };
    }
    if (session.sent.some(({ problem }) => !problem) || session.queued.length) return { text: "Waiting for a free worker…" };
    return null;
  }

  /** The card of the questions, the same one as long as they are the same. */
  card4(questions) {
    const key = questions.map(({ id }) => id).join();
    if (key === this.asked) return this.card?.element ?? null;
    this.card?.close();
    this.asked = key;
    this.card = null;
    if (!questions.length) return null;
    const { session } = this;
    const withSchemas = questions.map((each) => ({ schema: session.schemas?.get(each.id), ...each }));
    this.card = new QuestionCard(withSchemas, { send: (responses) => session.answer(responses), since: session.model.run?.endedAt ?? 0 });
    if (session.live) this.announce(`A question waits: ${this.card.points[0].heading}`);
    return this.card.element;
  }

  goneElement(session) {
    if (this.gonePhase === session) return this.goneShown;
    this.gonePhase = session;
    const [title, text] = session.phase === "gone" ? ["This thread is not here", "It was deleted, or it is somebody else’s."] : ["The thread could not be read", session.problem?.message ?? ""];
    const acts = h("div.row", {}, button("New thread", () => this.go(null), { kind: "b-p" }), session.phase === "failed" ? button("Try again", () => this.open(session.id)) : null);
    return (this.goneShown = h("div.empty", {}, h("div", {}, h("h1", {}, title), h("p", {}, text), acts)));
  }

  showEmpty() {
    const assistant = this.assistants.of(null);
    const waiting = this.list.threads?.find(({ status, interrupts, metadata }) => status === "interrupted" && Object.keys(interrupts ?? {}).length && !metadata?.archived);
    this.empty.update({ assistant, waiting: waiting && { id: waiting.thread_id, title: titleOf(waiting) } });
  }

  ended(run) {
    this.list.refresh();
    this.tellOthers();
    const { session } = this;
    const last = session.model.root.all().findLast(({ role }) => role === "ai");
    const text = last ? shorten(textOf(last), 300) : "";
    if (run?.status === "completed") this.announce(`Answer: ${text}`);
    else if (run?.status === "failed") this.announce(`The run failed: ${run.error ?? ""}`);
    else if (run?.stopped) this.announce("Stopped.");
  }

  announce(text) {
    $("announce").textContent = text;
  }

  problem(error) {
    if (error instanceof Refused && error.status === 401) location.assign(this.login());
    else this.composer.say(error.message);
  }

  // --- what people do

  get assistant() {
    return this.chosen ?? this.assistants.of(this.session?.thread ?? (this.session ? this.list.get(this.session.id) : null));
  }

  say(text) {
    this.composer.text = text;
    this.composer.submit();
  }

  async send(message, strategy) {
    await this.loaded;
    const { assistant } = this;
    if (!assistant) throw new Error("There is no assistant to answer.");
    const content = contentOf(message);
    if (!this.session) await this.begin(message, assistant);
    const { session } = this;
    this.log.toEnd();
    await session.send(content, { assistant: assistant.assistant_id, strategy, context: this.context });
    this.tellOthers();
  }

  /** A thread for the first message, which names it until the graph does. */
  async begin(message, assistant) {
    const id = crypto.randomUUID();
    const title = shorten(message.text || message.files[0]?.name || "", 80);
    const metadata = { graph_id: assistant.graph_id, assistant_id: assistant.assistant_id, title };
    const { context } = this;
    const thread = await this.api.post("threads", { thread_id: id, metadata });
    this.go(id, { fresh: true });
    this.context = context;
    this.session.thread = thread;
    this.session.phase = "ready";
    this.list.note(thread);
    this.list.current = id;
    this.list.show();
  }

  async stop() {
    try {
      await this.session?.stop();
    } catch (error) {
      this.problem(error);
    }
  }

  async attempt(act) {
    try {
      this.composer.say("");
      await act();
    } catch (error) {
      this.problem(error);
    }
  }

  edit(entry, text) {
    const kept = entry.message.params?.input.messages[0].content ?? this.rawContent(entry.message.id);
    const blocks = Array.isArray(kept) ? kept.filter(({ type }) => type !== "text") : [];
    const content = blocks.length ? [{ type: "text", text }, ...blocks] : text;
    return this.attempt(() => this.session.edit(entry.message.id, content, { assistant: this.assistant.assistant_id, context: this.context }));
  }

  again(entry) {
    const entries = this.log.entries;
    const human = entries[entries.indexOf(entry) - 1];
    return this.attempt(() => this.session.edit(human.message.id, this.rawContent(human.message.id), { assistant: this.assistant.assistant_id, context: this.context }));
  }

  rawContent(id) {
    const found = this.session.model.values.messages?.find((message) => message.id === id);
    if (found) return found.content;
    const shown = (this.session.view?.messages ?? []).find((message) => message.id === id);
    return shown ? textOf(shown) : "";
  }

  version(entry, step) {
    const { place, total, runs } = entry.versions;
    const next = place - 1 + step;
    if (next < 0 || next >= total) return;
    this.attempt(() => this.session.show(runs[next].id));
  }

  editLast() {
    const last = this.log?.entries?.findLast(({ kind, editable }) => kind === "human" && editable);
    if (last) this.log.views.get(last.key)?.edit();
  }

  tellOthers() {
    this.others.postMessage({ thread: this.session?.id });
  }
}

new Page(JSON.parse($("settings").textContent)).start();
