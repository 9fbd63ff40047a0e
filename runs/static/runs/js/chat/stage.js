// What stands in the middle of the page: a thread that has not begun, the log of one, or why there is none.

import { button, h, icon } from "../parts/dom.js";
import { QuestionCard } from "../parts/question.js";
import { stepView } from "../parts/steps.js";
import { textOf } from "../protocol/messages.js";
import { Empty } from "./empty.js";
import { keep, kept } from "./kept.js";
import { Log } from "./log.js";
import { titleOf } from "./titles.js";
import { timeline } from "./timeline.js";

/** Cards of other threads that stay as they are; the texts of those before them are kept as over a reload. */
const MOST_KEPT = 20;

const $ = (id) => document.getElementById(id);

export class Stage {
  constructor(page) {
    this.page = page;
    this.place = $("stage");
    this.composer = $("composer");
    this.empty = new Empty({ say: (text) => page.say(text), open: (id) => page.go(id) });
    this.log = null;
    this.loading = h("div.logbox", {}, h("div.log", {}, h("div.col", {}, h("div.turn", {}, waitingElement("Loading the thread…")))));
    /** Cards on which something was written when another thread was opened, by their threads: {asked, card}. */
    this.kept = new Map();
  }

  /** Begin with another thread, or with none. */
  clear() {
    this.putAside();
    const { session, acts } = this.page;
    ({ asked: this.asked = null, card: this.card = null } = this.kept.get(session?.id) ?? {});
    this.kept.delete(session?.id);
    this.card?.wake();
    this.log = session ? new Log({ edit: (...edit) => acts.edit(...edit), again: (entry) => acts.again(entry), version: (entry, step) => acts.version(entry, step), retry: (message) => acts.retry(message), withdraw: (message) => acts.withdraw(message), address: (run) => this.page.runAddress(run), unplaced: () => session.versions.extend() }) : null;
    if (!session) this.showEmpty();
  }

  /** Keep the card of the thread that is left, if something was written on it. */
  putAside() {
    this.card?.close();
    if (this.card?.written.length) this.kept.set(this.thread, { asked: this.asked, card: this.card });
    if (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value);
    this.card = this.asked = this.over = null;
    this.thread = this.page.session?.id;
  }

  render() {
    const { session } = this.page;
    const gone = session && (session.phase === "gone" || session.phase === "failed");
    const loading = session?.phase === "loading";
    const shown = !session ? this.empty.element : gone ? this.goneElement(session) : loading ? this.loading : this.log.element;
    if (this.place.firstElementChild !== shown) this.place.replaceChildren(shown);
    document.body.classList.toggle("is-empty", !session);
    this.placeComposer(gone);
    // On another version they are out of sight, and stay as they are.
    const isAway = Boolean(session?.versions.view || session?.catchingUp || session?.phase === "loading");
    const questions = isAway ? [] : this.questions(session);
    if (session && !gone && !loading) this.renderLog(session, questions, isAway ? [] : this.cardsOf(questions));
    return { asks: questions.length > 0 };
  }

  questions(session) {
    return session && !session.model.active ? [...session.model.questions.values()] : [];
  }

  /** It stands in the middle of an empty thread, and below any other. */
  placeComposer(gone) {
    const place = this.page.session ? $("main") : this.empty.slot;
    this.composer.hidden = Boolean(gone);
    if (this.composer.parentElement === place) return;
    const focused = this.composer.contains(document.activeElement);
    place.append(this.composer);
    if (focused && !gone) this.page.composer.focus();
  }

  renderLog(session, questions, cards) {
    const { model, versions, outbox } = session;
    const { view } = versions;
    const still = session.catchingUp;
    const messages = view ? view.messages : still ? session.snapshot : model.root.all();
    const waiting = still || (view && !outbox.sent.length) ? null : waitingFor(session);
    const entries = timeline(model, messages, { sent: outbox.sent, agents: !view && !still, waiting });
    this.dress(entries, session, questions);
    this.log.update(entries);
    this.log.look();
    this.showCards(cards);
  }

  /** Tell the entries which versions there are, what can be done with them, and by which run they came. */
  dress(entries, { model, versions }, questions) {
    const { branches } = versions;
    branches.recognise((versions.view?.messages ?? model.root.messages));
    const idle = !model.active;
    entries.forEach((entry, place) => {
      if (entry.kind === "human") {
        entry.versions = branches.versions(entry.message.id);
        entry.editable = idle && Boolean(entry.versions);
        return;
      }
      const human = entries[place - 1];
      const brought = human?.kind === "human" ? human.message.id : null;
      entry.repeatable = idle && Boolean(brought && branches.versions(brought));
      entry.asks = entry.last && questions.length > 0;
      entry.run = model.runOf.get(entry.messages.at(-1)?.id) ?? branches.ofMessage(brought)?.id ?? (entry.last ? model.run?.id : null) ?? null;
    });
  }

  /** What stands below the log: the card of the questions, the same one as long as they are the same, and what was written on the one before. */
  cardsOf(questions) {
    const { session } = this.page;
    const key = questions.length ? [session.id, ...questions.map(({ id, runId }) => `${id} ${runId ?? ""}`)].join() : "";
    if (key !== this.asked) {
      const written = this.card?.written ?? [];
      if (written.length) this.over = this.overElement(written, session);
      this.card?.close();
      this.card?.keep(null);
      this.asked = key;
      this.card = questions.length ? this.makeCard(questions, session, key) : null;
    } else if (this.card?.isSent && !session.answers.given) this.card.reopen("Your answer was taken back before it was read.");
    return [this.over, this.card?.element];
  }

  makeCard(questions, session, key) {
    const withSchemas = questions.map((each) => ({ schema: session.schemas?.get(each.id), ...each }));
    const options = { send: (responses) => this.page.session.answers.give(responses), since: session.model.run?.endedAt ?? 0 };
    // What is kept is that of the thread's last questions.
    const name = `card ${session.id}`;
    const [of, texts] = kept(name) ?? [];
    if (of !== key) keep(name, null);
    const card = new QuestionCard(withSchemas, { ...options, kept: of === key ? texts : [], keep: (written) => keep(name, written && [key, written]) });
    if (session.isNews) this.page.announce(`A question waits: ${card.points[0].heading}`);
    return card;
  }

  /** What was written about a question that somebody else has answered; it can still be copied. */
  overElement(written, { outbox, model }) {
    const title = outbox.last && outbox.last === model.run?.id ? "This question is closed" : "Answered elsewhere";
    const remove = button("Remove", () => {
      this.over = null;
      this.page.render();
      this.page.write();
    });
    const texts = written.map(({ label, text }) => h("div.f", {}, h("b.label", {}, label), h("p.kept", { dir: "auto" }, text)));
    return h("details.card.q-over", {}, h("summary", {}, icon("ask"), h("b", {}, title), h("span.arg", {}, "What you have written is kept here."), icon("right", "i-s turn-arrow")), h("div.card-b.rows", {}, texts, h("div", {}, remove)));
  }

  /** The focus does not get lost with a card. */
  showCards(cards) {
    const hadFocus = this.log.extra.contains(document.activeElement);
    this.log.below(...cards);
    if (!hadFocus || this.log.extra.contains(document.activeElement)) return;
    if (matchMedia("(pointer: coarse)").matches) this.log.scroller.focus({ preventScroll: true });
    else this.page.composer.focus();
  }

  goneElement(session) {
    if (this.goneOf === session) return this.goneShown;
    this.goneOf = session;
    const { page } = this;
    const [title, text] = session.phase === "gone" ? ["This thread is not here", "It was deleted, or it is somebody else’s."] : ["The thread could not be read", session.problem?.message ?? ""];
    const acts = h("div.row", {}, button("New thread", () => page.go(null), { kind: "b-p" }), session.phase === "failed" ? button("Try again", () => page.open(session.id)) : null);
    return (this.goneShown = h("div.empty", {}, h("div", {}, h("h1", {}, title), h("p", {}, text), session.phase === "gone" ? this.unsentElement(session) : null, acts)));
  }

  /** What was written to a thread that is gone; it can still be copied. */
  unsentElement({ outbox }) {
    const unsent = outbox.sent.filter(({ state }) => state !== "sent").map(textOf);
    const written = [...unsent, this.page.composer.draft.text].filter((text) => text.trim());
    return written.length ? h("div", {}, h("b.label", {}, "What you wrote was not sent"), written.map((each) => h("p.kept", { dir: "auto" }, each))) : null;
  }

  showEmpty() {
    const { assistants, list, assistant } = this.page;
    const waiting = list.threads?.find(({ status, interrupts, metadata }) => status === "interrupted" && Object.keys(interrupts ?? {}).length && !metadata?.archived);
    this.empty.update({ assistant: assistant ?? assistants.of(null), loading: !assistants.isLoaded, waiting: waiting && { id: waiting.thread_id, title: titleOf(waiting) } });
  }
}

function waitingElement(text) {
  const view = stepView({ kind: "waiting" });
  view.update({ text, live: true });
  return view.element;
}

/** What is said while nothing on the page shows that something goes on. */
function waitingFor(session) {
  const { model, outbox } = session;
  if (model.active) {
    if (["lost", "connecting"].includes(session.connection?.state.name) && session.live) return { kind: "break", text: "It goes on from here.", live: false };
    if (session.connection?.state.name === "refused") return { kind: "break", text: "What follows is not shown to whoever is logged out.", live: false };
    const isRunning = ({ status }) => status === "running";
    const busy = [...model.root.streamed.values()].some(({ done }) => !done) || model.below().some(isRunning) || [...model.tools.values()].some(isRunning);
    if (busy) return null;
    return { text: typeof model.progress?.message === "string" ? `${model.progress.message}…` : "Working…" };
  }
  const hasRun = ({ state, run }) => state === "sending" || (state === "sent" && !model.runs.get(run)?.endedAt);
  if (outbox.sent.some(hasRun) || outbox.queued.length) return { text: "Waiting for a free worker…" };
  return null;
}
