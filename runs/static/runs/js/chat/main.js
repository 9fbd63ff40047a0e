// The page: which thread is open, and what its parts have to do with each other.

import { Account } from "../parts/account.js";
import { Banner } from "../parts/banner.js";
import { closeAll } from "../parts/menu.js";
import { shorten } from "../parts/words.js";
import { Api } from "../protocol/api.js";
import { learn } from "../protocol/clock.js";
import { textOf } from "../protocol/messages.js";
import { Acts } from "./acts.js";
import { Assistants } from "./assistants.js";
import { Composer } from "./composer.js";
import { limitTo } from "./files.js";
import { Head } from "./head.js";
import { keepFor } from "./kept.js";
import { Panel } from "./panel.js";
import { Plan } from "./plan.js";
import { Session } from "./session.js";
import { Shell } from "./shell.js";
import { Stage } from "./stage.js";
import { ThreadList } from "./threads.js";

const $ = (id) => document.getElementById(id);

class Page {
  constructor(settings) {
    this.settings = settings;
    keepFor(settings.user.id);
    learn(settings.now);
    limitTo(settings.bodyLimit);
    this.account = new Account(settings, { replaced: (user) => this.replaced(user), returned: () => this.goOn() });
    this.api = new Api(settings.api, { token: () => this.account.token, renew: () => this.account.renew(), loggedOut: () => this.loggedOut() });
    this.assistants = new Assistants(this.api);
    this.list = new ThreadList($("threads"), this.api, { open: (id) => this.go(id), menu: (thread, anchor) => this.head.threadMenu(thread, anchor), address: (id) => this.address(id) });
    this.acts = new Acts(this);
    this.composer = new Composer(this.acts);
    $("composer").append(this.composer.element);
    this.banner = new Banner($("banner"));
    this.plan = new Plan($("plan"));
    this.stage = new Stage(this);
    this.others = new BroadcastChannel(`chat ${settings.chat}`);
    this.context = {};
    /** Sessions of threads that are not looked at, by their ids. */
    this.asides = new Map();
    this.shell = new Shell(this);
    this.panel = new Panel(this);
    this.head = new Head(this);
  }

  /** The thread is what people wait for: what stands beside it is read after it. */
  async start() {
    this.shell.listen();
    this.open(this.idOf(location.pathname));
    const before = this.session?.shown;
    this.loaded = Promise.resolve(before).then(() => this.assistants.load()).catch((error) => this.problem(error));
    await before;
    await Promise.all([this.list.refresh(), this.loaded]);
    if (!this.session) this.stage.showEmpty();
    this.render();
  }

  // --- addresses

  address(id) {
    return `${this.settings.chat}${id}/`;
  }

  /** Where a run can be looked into; null for those who may not. */
  runAddress(id) {
    return this.settings.inspect && id ? `${this.settings.inspect}${id}/change/` : null;
  }

  idOf(path) {
    return path.startsWith(this.settings.chat) ? path.slice(this.settings.chat.length).split("/")[0] || null : null;
  }

  login() {
    return `${this.settings.login}?next=${encodeURIComponent(location.pathname)}`;
  }

  /** @param options.focus Whether the message field gets the focus. */
  go(id, options = {}) {
    const address = id ? this.address(id) : this.settings.chat;
    if (address !== location.pathname) history.pushState(null, "", address);
    this.open(id, options);
  }

  // --- a thread

  open(id, { fresh = false, focus = !matchMedia("(pointer: coarse)").matches } = {}) {
    closeAll();
    this.session?.close();
    this.session = this.chosen = null;
    this.visit = Symbol(id);
    this.composer.turnTo(id, { fresh });
    if (!fresh) this.context = {};
    this.showAccount();
    this.list.current = id;
    this.list.marked = null;
    this.list.show();
    this.shell.side(false);
    if (this.panel.isOpen) this.panel.close();
    if (id) this.follow(id, fresh);
    this.stage.clear();
    this.render();
    if (focus) this.composer.focus();
  }

  /** Lead to the field; where that brings a keyboard over the page, only a person does. */
  write() {
    if (!matchMedia("(pointer: coarse)").matches) this.composer.focus();
  }

  sessionOf(id, fresh) {
    const address = this.address(id);
    return new Session(this.api, id, { addresses: { runs: `${address}runs/`, position: `${address}position/` }, fresh });
  }

  /** A thread that is not looked at, to which a message is sent. */
  aside(id) {
    const session = this.sessionOf(id, true);
    this.asides.set(id, session);
    session.addEventListener("sent", () => this.list.refresh());
    return session;
  }

  follow(id, fresh) {
    this.asides.get(id)?.close();
    const session = (this.session = this.sessionOf(id, fresh));
    const mine = (handle) => (event) => this.session === session && handle(event);
    session.addEventListener("change", mine(() => this.later()));
    session.addEventListener("connection", mine(() => this.connected(session)));
    session.addEventListener("ended", mine(({ detail }) => this.ended(detail)));
    session.addEventListener("sent", mine(() => this.tellOthers()));
    session.addEventListener("ready", mine(() => this.ready()));
    session.addEventListener("branch", mine(({ detail }) => this.keepBranch(detail)));
    session.shown = session.open();
  }

  connected({ connection, model }) {
    this.banner.follow(connection, { running: () => Boolean(model.active), login: () => this.login() });
    connection.addEventListener("event", ({ detail }) => learn(detail.params.timestamp));
    // It may be refused because it is asked for as another user.
    connection.addEventListener("state", ({ detail: { name, code } }) => {
      if (name !== "refused") return;
      this.account.isOut ||= code === 4401;
      this.account.renew();
    });
  }

  /** A branch that was looked at is looked at again after a reload. */
  ready() {
    const at = new URLSearchParams(location.search).get("at");
    if (at) this.session.versions.show(at).catch(() => this.keepBranch(null));
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
    if (session?.thread) this.context = session.thread.metadata?.context ?? {};
    const { asks } = this.stage.render();
    const running = Boolean(session?.model.active);
    this.composer.update({ running, online: session?.connection?.state.name !== "lost", asks, queued: session?.outbox.queued ?? [], empty: !session });
    this.plan.update(session && !session.versions.view ? (session.catchingUp ? session.read?.values : session.model.values)?.todos : null, running ? "running" : asks ? "ask" : "stopped");
    this.panel.update();
    this.head.update({ running, asks });
    if (session?.live) this.list.mark(session.id, asks ? "ask" : running ? "running" : session.model.run?.status === "failed" ? "failed" : null);
  }

  ended(run) {
    this.list.refresh();
    this.tellOthers();
    const { model } = this.session;
    const all = model.root.all();
    const since = all.slice(all.findLastIndex(({ role }) => role === "human") + 1);
    const brought = since.filter(({ role, id }) => role === "ai" && (model.runOf.get(id) ?? run?.id) === run?.id).map(textOf).filter(Boolean);
    if (run?.status === "completed") this.announce(brought.length ? `Answer: ${brought.map((text) => shorten(text, 300)).join(" – ")}` : "Done, without an answer.");
    else if (run?.status === "failed") this.announce(`The run failed: ${run.error ?? ""}`);
    else if (run?.stopped) this.announce("Stopped.");
  }

  announce(text) {
    $("announce").textContent = text;
  }

  /** The browser's session is another user's now: nothing more is asked for or sent. */
  replaced({ name }) {
    this.api.close(`You are logged in as ${name} now.`);
    for (const session of [this.session, ...this.asides.values()]) session?.connection?.close();
    this.showAccount();
  }

  loggedOut() {
    this.account.isOut = true;
    if (!this.account.other) this.banner.show({ name: "refused", code: 4401 }, { login: () => this.login() });
  }

  /** The person is logged in again: what was left off is taken up. */
  async goOn() {
    await this.list.refresh();
    // The API has the last word.
    if (this.account.isOut) return;
    const { session } = this;
    this.banner.expect();
    if (session?.phase === "failed") this.open(session.id);
    else if (session?.connection?.state.name === "refused") session.connection.open();
    else this.banner.show({ name: "open" }, {});
  }

  showAccount() {
    this.banner.show(this.account.other ? { name: "replaced", user: this.account.other.name } : { name: "closed" }, {});
  }

  /** After a logout the banner has the way to log in; what is written and not sent stays until people take it. */
  problem(error) {
    this.composer.say(error.message);
  }

  get assistant() {
    return this.chosen ?? this.assistants.of(this.session?.thread ?? (this.session ? this.list.get(this.session.id) : null));
  }

  say(text) {
    this.composer.send({ text, files: [] });
  }

  tellOthers() {
    this.others.postMessage({ thread: this.session?.id });
  }
}

new Page(JSON.parse($("settings").textContent)).start();
