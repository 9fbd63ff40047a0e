// The list of threads: by day, pinned ones first, found by the words of their titles and messages.

import { button, h, icon, iconButton, set, setText, state } from "../parts/dom.js";
import { dayOf } from "../parts/words.js";
import { serverNow } from "../protocol/clock.js";
import { titleOf } from "./titles.js";

const MOST = 200;
/** Most threads that the server gives at once. */
const LIMIT = 1000;
const WANTED = {
  sort_by: "state_updated_at",
  select: ["thread_id", "status", "interrupts", "metadata", "created_at", "state_updated_at"],
  extract: { title: "values.title", first: "values.messages[0].content" },
};

/** What is found by words; `found` has the title and the part that matches. */
const FOUND = { ...WANTED, limit: 50, extract: {} };
/** Milliseconds of rest in typing before the server is asked. */
const REST = 150;

/** What a thread's status means to people; one that was stopped asks nothing. */
function stateOf({ status, interrupts, doing }) {
  if (doing !== undefined) return doing;
  if (status === "interrupted") return Object.keys(interrupts ?? {}).length ? "ask" : null;
  return { busy: "running", error: "failed" }[status] ?? null;
}

const changed = (thread) => thread.state_updated_at ?? thread.created_at ?? "";
const byAge = (one, other) => changed(other).localeCompare(changed(one));

/** Let an element be there or not; one that is there already is not moved, which would take its focus. */
function put(parent, element, wanted, before = null) {
  if (!wanted) element.remove();
  else if (element.parentNode !== parent) parent.insertBefore(element, before);
}

export class ThreadList {
  /** @param acts open(id), menu(thread, button), address(id). */
  constructor(place, api, acts) {
    this.place = place;
    this.api = api;
    this.acts = acts;
    this.threads = null;
    /** How many of the newest are shown, and whether there are more. */
    this.most = MOST;
    this.hasOlder = false;
    this.words = "";
    /** Threads that the server found by the words, or null before its answer. */
    this.hits = null;
    this.problem = this.unfound = null;
    this.archived = false;
    this.current = null;
    this.marked = null;
    /** Threads that were deleted here: an answer may still have them. */
    this.deleted = new Set();
    /** The list that was asked for last, until it is there. */
    this.refreshing = null;
  }

  /** Read the list. Only what was asked for last is shown: before, a thread may have had another title, or been there. */
  refresh() {
    if (this.api.closed) return Promise.resolve();
    const refreshing = this.read().then((found) => {
      if (this.refreshing !== refreshing) return this.refreshing;
      this.refreshing = null;
      Object.assign(this, found);
      this.show();
    });
    return (this.refreshing = refreshing);
  }

  async read() {
    const { most } = this;
    try {
      const apart = [{ pinned: true }, ...(this.archived ? [{ archived: true }] : [])];
      const [newest, ...others] = await Promise.all([{}, ...apart].map((metadata) => this.search(metadata)));
      const threads = [...new Map([...newest, ...others.flat()].map((thread) => [thread.thread_id, thread])).values()].sort(byAge);
      return { threads, hasOlder: newest.length === most, problem: null };
    } catch (problem) {
      return { problem };
    }
  }

  /** What is asked for now may not know a change that was made here. */
  readAgain() {
    if (this.refreshing) this.refresh();
  }

  /** The newest threads with these metadata. Pinned and archived ones are there also if they are older than all others. */
  search(metadata) {
    return this.api.post("threads/search", { ...WANTED, limit: this.most, metadata });
  }

  /** Show threads that are older than those in the list. */
  older() {
    this.most = Math.min(this.most + MOST, LIMIT);
    return this.refresh();
  }

  /** Show at once what is called so, and soon what the server finds. */
  find(words) {
    this.words = words.trim();
    this.hits = null;
    this.unfound = null;
    clearTimeout(this.asking);
    if (this.words) this.asking = setTimeout(() => this.ask(this.words), REST);
    this.show();
  }

  async ask(words) {
    let hits = [], problem = null;
    try {
      hits = await this.api.post("threads/search", { ...FOUND, text: words });
    } catch (error) {
      problem = error;
    }
    if (words !== this.words) return;
    this.hits = hits.filter(({ thread_id: id }) => !this.deleted.has(id)).map(({ found, ...thread }) => ({ ...thread, snippet: found?.snippet, extracted: { found: found?.title } }));
    this.unfound = problem;
    this.show();
  }

  /** The threads to show: all, or those that the words find. */
  get wanted() {
    const called = this.words.toLowerCase();
    const known = this.threads.filter((thread) => titleOf(thread).toLowerCase().includes(called));
    if (!this.words || !this.hits) return known;
    const hits = this.hits.map((hit) => ({ ...hit, ...this.get(hit.thread_id) }));
    const found = new Set(hits.map(({ thread_id: id }) => id));
    return [...hits, ...known.filter(({ thread_id: id }) => !found.has(id))];
  }

  /** What the list says when it shows nothing. */
  get nothing() {
    if (this.words) return this.hits ? `Nothing is found for “${this.words}”.` : "Searching…";
    if (this.hasOlder) return "Nothing among the newest.";
    return this.archived ? "Nothing is archived. A thread’s menu puts it here." : "Threads appear here. Write a message to begin the first.";
  }

  /** Show a thread that is new, or has changed, before the server is asked again. */
  note(thread) {
    const others = (this.threads ?? []).filter((each) => each.thread_id !== thread.thread_id);
    const known = this.threads?.find((each) => each.thread_id === thread.thread_id);
    this.threads = [{ ...known, ...thread, state_updated_at: known?.state_updated_at ?? thread.state_updated_at ?? new Date(serverNow()).toISOString() }, ...others];
    this.threads.sort(byAge);
    this.deleted.delete(thread.thread_id);
    this.readAgain();
    this.show();
  }

  /** Show what the open thread is doing, of which the page knows more than the list. */
  mark(id, state) {
    if (this.marked?.id === id && this.marked.state === state) return;
    this.marked = { id, state };
    if (this.threads) this.show();
  }

  forget(id) {
    this.deleted.add(id);
    this.hits = this.hits?.filter((each) => each.thread_id !== id) ?? null;
    this.threads = this.threads?.filter((each) => each.thread_id !== id) ?? null;
    this.readAgain();
    this.show();
  }

  get(id) {
    return this.threads?.find((thread) => thread.thread_id === id);
  }

  /** Make what stays while the rest is made anew: it keeps the focus, and readers hear it when its words change. */
  begin() {
    this.alert = h("p.none", { role: "alert" });
    this.againButton = button("Try again", () => this.refresh());
    this.said = h("p", { role: "status" });
    this.groups = h("div");
    this.olderButton = button("Show older", () => this.older(), { kind: "older" });
    this.end = h("p.none.quiet", {}, "Older threads are found by searching.");
    this.place.replaceChildren(this.said, this.groups);
  }

  show() {
    if (!this.groups) this.begin();
    // A menu stands at its button; what has changed is shown when it is asked for the next time.
    if (this.place.querySelector("[aria-expanded=true]")) return;
    const { activeElement: active } = document;
    const focused = active?.closest?.("[data-thread]")?.dataset.thread;
    const part = active?.matches?.("button") ? "button" : "a";
    const top = this.place.scrollTop;
    const marked = this.marked && this.get(this.marked.id);
    if (marked) marked.doing = this.marked.state;
    const wanted = this.threads ? this.wanted : [];
    const isHere = (thread) => Boolean(thread.metadata?.archived) === this.archived;
    const here = wanted.filter(isHere);
    // Words are looked for everywhere.
    const elsewhere = this.words ? wanted.filter((thread) => !isHere(thread)) : [];
    this.groups.replaceChildren(...this.byDay(here), ...this.group(this.archived ? "Not archived" : "Archive", elsewhere));
    this.tell(here.length + elsewhere.length > 0);
    this.place.scrollTop = top;
    if (focused) this.place.querySelector(`[data-thread="${CSS.escape(focused)}"] ${part}`)?.focus();
    // A button that had the focus and goes leaves it to its neighbour.
    else if (active !== document.body && !active?.isConnected) this.place.querySelector("[data-thread] a")?.focus();
  }

  /** What is said above and below the threads. */
  tell(some) {
    const failures = [this.problem && `The list could not be read: ${this.problem.message}`, this.unfound && `The messages could not be searched: ${this.unfound.message}`];
    const failed = failures.filter(Boolean).join(" ");
    setText(this.alert, failed);
    put(this.place, this.alert, failed, this.place.firstChild);
    put(this.place, this.againButton, this.problem, this.said);
    const note = !this.threads ? (this.problem ? "" : "Loading the threads…") : some || this.unfound ? "" : this.nothing;
    setText(this.said, note);
    set(this.said, "class", note ? "none quiet" : null);
    const older = this.hasOlder && !this.words;
    put(this.place, this.olderButton, older && this.most < LIMIT);
    put(this.place, this.end, older && this.most >= LIMIT);
  }

  byDay(threads) {
    const groups = new Map();
    for (const thread of threads) {
      const day = thread.metadata?.pinned ? "Pinned" : dayOf(thread.state_updated_at ?? thread.created_at);
      groups.set(day, [...(groups.get(day) ?? []), thread]);
    }
    const days = [...groups.keys()].sort((one, other) => (other === "Pinned") - (one === "Pinned"));
    return days.flatMap((day) => this.group(day, groups.get(day)));
  }

  group(heading, threads) {
    return threads.length ? [h("h2", {}, heading), h("ul", {}, threads.map((thread) => this.entry(thread)))] : [];
  }

  entry(thread) {
    const id = thread.thread_id;
    const link = h("a", { href: this.acts.address(id), "aria-current": id === this.current ? "page" : null, on: { click: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      this.acts.open(id);
    } } }, thread.metadata?.pinned ? icon("pin", "i-s") : null, h("span", { dir: "auto" }, titleOf(thread)), stateOf(thread) ? state(stateOf(thread), { quiet: true }) : null, thread.snippet?.length ? h("small.snippet", { dir: "auto" }, thread.snippet.map((piece, place) => (place % 2 ? h("mark", {}, piece) : piece))) : null);
    const more = iconButton("more", `Menu of ${titleOf(thread)}`, () => this.acts.menu(thread, more), { "aria-haspopup": "menu", "aria-expanded": "false" });
    return h("li", { "data-thread": id }, link, more);
  }
}
