// The page: which thread is open, and what its parts have to do with each other.

import { Banner } from "../parts/banner.js";
import { button, h, icon, iconButton, set, setText } from "../parts/dom.js";
import { askText, confirm, openMenu } from "../parts/menu.js";
import { QuestionCard } from "../parts/question.js";
import { count, shorten } from "../parts/words.js";
import { Api, Refused } from "../protocol/api.js";
import { fromState, textOf } from "../protocol/messages.js";
import { Assistants } from "./assistants.js";
import { Composer } from "./composer.js";
import { Empty } from "./empty.js";
import { download, fileName, toMarkdown } from "./export.js";
import { contentOf } from "./files.js";
import { listen, showKeys } from "./keys.js";
import { Log } from "./log.js";
import { Plan } from "./plan.js";
import { Session } from "./session.js";
import { ThreadList, titleOf } from "./threads.js";
import { timeline } from "./timeline.js";

const $ = (id) => document.getElementById(id);
/** Milliseconds between two looks at the list of threads. */
const LOOK = 15_000;

class Page {
  constructor(settings) {
    this.settings = settings;
    this.api = new Api(settings.api, { token: () => document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "" });
    this.assistants = new Assistants(this.api);
    this.list = new ThreadList($("threads"), this.api, { open: (id) => this.go(id), menu: (thread, anchor) => this.threadMenu(thread, anchor), address: (id) => this.address(id) });
    this.composer = new Composer({ send: (message, strategy) => this.send(message, strategy), stop: () => this.stop(), remove: (queued) => this.session?.remove(queued), editLast: () => this.editLast() });
    this.place = $("composer");
    this.place.append(this.composer.element);
    this.banner = new Banner($("banner"));
    this.plan = new Plan($("plan"));
    this.empty = new Empty({ say: (text) => this.say(text), open: (id) => this.go(id) });
    this.others = new BroadcastChannel("chat");
    this.context = {};
    this.head();
  }

  async start() {
    this.listen();
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
    this.side(false);
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
    this.renderHead();
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

  // --- the head

  head() {
    this.assistantWord = h("span", { dir: "auto" });
    this.assistantButton = h("button.b.b-q.no-phone", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": "Assistant", hidden: true, on: { click: () => this.assistantMenu(this.assistantButton) } }, this.assistantWord, icon("down", "i-s"));
    this.runLink = h("a.b.b-q.no-phone", { hidden: true }, "Open run ", icon("out", "i-s"));
    this.moreButton = iconButton("more", "More about this thread", () => this.threadMenu(this.session?.thread ?? this.list.get(this.session?.id), this.moreButton), { "aria-haspopup": "menu", "aria-expanded": "false" });
    $("head-acts").append(this.assistantButton, this.runLink, this.moreButton);
  }

  renderHead() {
    const { session } = this;
    const thread = session ? { ...this.list.get(session.id), ...session.thread } : null;
    const title = session ? titleOf(thread, session.model.values) : "New thread";
    setText($("title"), title);
    document.title = session ? `${title} · Chat` : "Chat";
    const used = session ? session.model.root.messages.reduce((sum, { usage }) => sum + (usage?.total_tokens ?? 0), 0) : 0;
    setText($("subtitle"), session ? (session.view ? "An older version; the newest is another" : used ? count(used, "token") : " ") : "Nothing sent yet");
    this.assistantButton.hidden = !this.assistants.list.length;
    setText(this.assistantWord, this.assistant?.name ?? "No assistant");
    set(this.assistantButton, "aria-label", `Assistant: ${this.assistant?.name ?? "none"}`);
    const run = session?.model.run?.id ?? session?.branches.newest;
    this.runLink.hidden = !(this.settings.inspect && run);
    if (!this.runLink.hidden) set(this.runLink, "href", `${this.settings.inspect}${run}/change/`);
    this.moreButton.hidden = !session;
  }

  assistantMenu(anchor) {
    const entries = this.assistants.list.map((assistant) => ({ label: assistant.name, hint: assistant.description ?? (assistant.name === assistant.graph_id ? null : assistant.graph_id), checked: assistant === this.assistant, act: () => {
      this.chosen = assistant;
      this.assistants.choose(assistant);
      if (this.session) this.attempt(() => this.session.patch({ assistant_id: assistant.assistant_id, graph_id: assistant.graph_id }));
      else this.showEmpty();
      this.render();
    } }));
    openMenu(anchor, [...entries, null, { label: "Settings…", glyph: "sliders", act: () => this.attempt(async () => {
      const context = await this.assistants.askContext(this.assistant, this.context);
      if (context) this.context = context;
    }) }]);
  }

  threadMenu(thread, anchor) {
    if (!thread) return;
    const id = thread.thread_id;
    const { metadata = {} } = thread;
    const open = this.session?.id === id;
    const change = (changes) => this.attempt(async () => {
      const changed = open ? (await this.session.patch(changes), this.session.thread) : await this.api.patch(`threads/${id}`, { metadata: changes });
      this.list.note({ thread_id: id, metadata: changed.metadata });
      this.tellOthers();
    });
    const title = titleOf({ ...this.list.get(id), ...thread }, open ? this.session.model.values : undefined);
    const phone = matchMedia("(max-width: 900px)").matches && anchor === this.moreButton;
    const run = !this.runLink.hidden && this.runLink.href;
    openMenu(anchor, [
      ...(phone ? [{ label: `Assistant: ${this.assistant?.name ?? "none"}`, glyph: "agent", act: () => this.assistantMenu(anchor) }, run ? { label: "Open run", glyph: "out", act: () => location.assign(run) } : null] : []).filter(Boolean),
      { label: "Rename…", glyph: "edit", act: async () => {
        const name = await askText("Rename the thread", "Title", title);
        if (name) change({ title: name, renamed: true });
      } },
      { label: metadata.pinned ? "Unpin" : "Pin", glyph: "pin", act: () => change({ pinned: !metadata.pinned }) },
      { label: metadata.archived ? "Take out of the archive" : "Archive", glyph: "archive", act: () => change({ archived: !metadata.archived }) },
      { label: "Export as Markdown", glyph: "dl", act: () => this.export(id, title, "md") },
      { label: "Export as JSON", glyph: "dl", act: () => this.export(id, title, "json") },
      null,
      { label: "Delete…", glyph: "trash", danger: true, act: async () => {
        if (!(await confirm("Delete this thread?", `“${title}”, with its runs and its state. This cannot be undone.`, "Delete"))) return;
        this.attempt(async () => {
          if (open) this.session.close();
          await this.api.delete(`threads/${id}`);
          this.list.forget(id);
          this.tellOthers();
          if (open) this.go(null);
        });
      } },
    ]);
  }

  export(id, title, kind) {
    this.attempt(async () => {
      const state = await this.api.get(`threads/${id}/state`);
      if (kind === "json") download(fileName(title, "json"), JSON.stringify({ thread_id: id, title, ...state }, null, 2), "application/json");
      else download(fileName(title, "md"), toMarkdown(title, (state.values?.messages ?? []).map(fromState)), "text/markdown");
    });
  }

  // --- the page

  tellOthers() {
    this.others.postMessage({ thread: this.session?.id });
  }

  side(open) {
    document.body.classList.toggle("side-open", open);
    $("veil").hidden = !open;
    set($("open-side"), "aria-expanded", String(open));
    if (open) $("find").focus();
  }

  step(by) {
    const ids = [...document.querySelectorAll("[data-thread]")].map(({ dataset }) => dataset.thread);
    const next = ids[ids.indexOf(this.session?.id) + by];
    if (next) this.go(next);
  }

  theme() {
    const now = document.documentElement.dataset.theme;
    const choose = (theme) => {
      document.documentElement.dataset.theme = theme;
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Without storage it holds until the page is left.
      }
    };
    openMenu($("theme"), [["auto", "As the system"], ["light", "Light"], ["dark", "Dark"]].map(([name, label]) => ({ label, checked: now === name, act: () => choose(name) })));
  }

  listen() {
    addEventListener("popstate", () => this.open(this.idOf(location.pathname)));
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("[data-nav]");
      if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      this.go(null);
    });
    $("find").addEventListener("input", ({ target }) => this.list.find(target.value));
    $("open-side").addEventListener("click", () => this.side(true));
    $("close-side").addEventListener("click", () => this.side(false));
    $("veil").addEventListener("click", () => this.side(false));
    $("theme").addEventListener("click", () => this.theme());
    $("show-keys").addEventListener("click", showKeys);
    $("show-archive").addEventListener("click", ({ target }) => {
      this.list.archived = !this.list.archived;
      set(target, "aria-pressed", String(this.list.archived));
      this.list.show();
    });
    this.others.addEventListener("message", ({ data }) => {
      this.list.refresh();
      if (data.thread && data.thread === this.session?.id) this.session.refresh();
    });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.list.refresh());
    setInterval(() => document.visibilityState === "visible" && this.list.refresh(), LOOK);
    this.dropFiles();
    listen({
      search: () => (this.side(matchMedia("(max-width: 900px)").matches), $("find").focus()),
      fresh: () => this.go(null),
      next: () => this.step(1),
      previous: () => this.step(-1),
      write: () => this.composer.focus(),
      newest: () => this.log?.toEnd({ smooth: true }),
      escape: () => (document.body.classList.contains("side-open") ? this.side(false) : this.session?.model.active && this.stop()),
    });
  }

  dropFiles() {
    const main = $("main");
    const drops = (event) => event.dataTransfer?.types.includes("Files");
    main.addEventListener("dragover", (event) => {
      if (!drops(event)) return;
      event.preventDefault();
      main.classList.add("dropping");
    });
    main.addEventListener("dragleave", (event) => !main.contains(event.relatedTarget) && main.classList.remove("dropping"));
    main.addEventListener("drop", (event) => {
      main.classList.remove("dropping");
      if (!drops(event)) return;
      event.preventDefault();
      this.composer.add(event.dataTransfer.files);
    });
  }
}

new Page(JSON.parse($("settings").textContent)).start();
