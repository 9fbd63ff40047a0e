// The log of a thread: people's messages and the agent's turns, which grow where they stand.

import { copy, h, icon, iconButton, reconcile, set, setText } from "../parts/dom.js";
import { stepView } from "../parts/steps.js";
import { count } from "../parts/words.js";
import { HumanView } from "./human.js";

/** Entries that are shown at once; older ones follow, a few at a time, when the page has nothing else to do. */
const FIRST = 40;
const MORE = 12;
/** Pixels from the end within which whoever comes near it follows what is added, and those of who is there. */
const NEAR = 60;
const AT = 2;

const idle = window.requestIdleCallback ?? ((act) => setTimeout(act, 50));

export class Log {
  /** @param acts What can be done with an entry: edit(entry, text, isWanted), again(entry), version(entry, step), retry(message), withdraw(message); and a run's address(id). `unplaced()` is called when one of them is seen whose run is not known. */
  constructor(acts) {
    this.acts = acts;
    this.views = new Map();
    this.column = h("div.col");
    this.scroller = h("div.log", { role: "log", "aria-label": "Messages", "aria-live": "off", tabindex: "0" }, this.column);
    this.newest = h("button.b.newest", { type: "button", hidden: true, on: { click: () => this.toEnd({ smooth: true }) } }, icon("down"), "To the newest");
    this.element = h("div.logbox", {}, this.scroller, this.newest);
    this.extra = h("div.turn.extra");
    this.column.append(this.extra);
    this.follows = true;
    /** Where it was scrolled to when that was last looked at. */
    this.top = 0;
    this.limit = FIRST;
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.follow()).observe(this.column);
    new ResizeObserver(() => this.follow()).observe(this.scroller);
    /** People's messages that are in sight. */
    this.seen = new Set();
    this.sight = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) this.seen[isIntersecting ? "add" : "delete"](target);
      this.look();
    }, { root: this.scroller });
  }

  /** Show entries of `timeline.js`. */
  update(entries) {
    this.entries = entries;
    // One that is being edited stays, wherever it is.
    const edited = entries.findIndex(({ key }) => this.views.get(key)?.form);
    const shown = entries.slice(-Math.max(this.limit, edited < 0 ? 0 : entries.length - edited));
    // The observer of its size follows what is added: to ask for the size here would lay out the page twice.
    reconcile(this.column, this.views, shown, { make: (entry) => (entry.kind === "human" ? this.human() : new TurnView(this.acts)) });
    if (shown.length && !this.isShown) {
      // But for the first frame, which would show the beginning.
      this.isShown = true;
      this.follow();
    }
    if (entries.length > this.limit && !this.waiting) {
      this.waiting = true;
      idle(() => this.more());
    }
  }

  human() {
    const view = new HumanView(this.acts);
    this.sight.observe(view.element);
    view.element.view = view;
    return view;
  }

  /** Ask for the runs of the messages in sight, if those are not known. */
  look() {
    if ([...this.seen].some(({ view, isConnected }) => isConnected && !view.entry.versions && !view.entry.message.state)) this.acts.unplaced();
  }

  more() {
    this.waiting = false;
    const { scroller } = this;
    const left = scroller.scrollHeight - scroller.scrollTop;
    this.limit += MORE;
    this.update(this.entries);
    // What comes above moves nobody, and is not taken for somebody's own move.
    scroller.scrollTop = scroller.scrollHeight - left;
    this.top = scroller.scrollTop;
  }

  /** What stands below the last entry, such as a question. */
  below(...elements) {
    const found = elements.filter(Boolean);
    if (found.length === this.extra.childElementCount && found.every((each, place) => this.extra.children[place] === each)) return;
    this.extra.replaceChildren(...found);
  }

  /** Who moves up does not want to follow; growth alone moves nobody up. */
  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const left = scrollHeight - scrollTop - clientHeight;
    if (scrollTop < this.top) this.follows = left < AT;
    else this.follows ||= left < NEAR;
    this.top = scrollTop;
    this.newest.hidden = this.follows || left < NEAR;
  }

  follow() {
    if (this.follows) this.scroller.scrollTop = this.scroller.scrollHeight;
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.top = scrollTop;
    this.newest.hidden = this.follows || scrollHeight - scrollTop - clientHeight < NEAR;
  }

  toEnd({ smooth = false } = {}) {
    this.follows = true;
    this.limit = FIRST;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: smooth && !calm ? "smooth" : "instant" });
    this.newest.hidden = true;
  }
}

/** Whether two entries of a turn look the same: steps that have not changed are the same objects. */
function isSame(one, other) {
  return one.live === other.live && one.asks === other.asks && one.repeatable === other.repeatable && one.tokens === other.tokens && one.run === other.run && one.steps.length === other.steps.length && one.steps.every((step, place) => step === other.steps[place]);
}

class TurnView {
  constructor(acts) {
    this.views = new Map();
    this.turn = h("div.turn");
    this.tokens = h("span.num");
    this.copyButton = iconButton("copy", "Copy the answer", () => copy(this.entry.text, this.copyButton));
    this.againWord = h("span", {}, "Try again");
    this.againButton = h("button.b", { type: "button", on: { click: () => acts.again(this.entry) } }, icon("retry"), this.againWord);
    this.runLink = h("a.b.b-q.run-link", { title: "Look into the run of this answer" }, "Run", icon("out", "i-s"));
    this.bar = h("div.acts", {}, this.copyButton, this.againButton, this.runLink, this.tokens);
    this.address = acts.address;
    this.element = h("article.answer", {}, h("h2.vh", {}, "Answer"), this.turn, this.bar);
  }

  update(entry) {
    const before = this.entry;
    this.entry = entry;
    if (before && isSame(before, entry)) return;
    reconcile(this.turn, this.views, entry.steps, { make: stepView });
    this.turn.classList.toggle("over", !entry.live);
    // It takes its room from the start, so that nothing moves when the answer is complete.
    const address = this.address(entry.run);
    this.bar.classList.toggle("away", entry.live || entry.asks || !(entry.text || entry.repeatable || address));
    this.copyButton.hidden = !entry.live && !entry.text;
    this.showAgain(entry);
    this.runLink.hidden = !address;
    set(this.runLink, "href", address);
    setText(this.tokens, entry.tokens ? count(entry.tokens, "token") : "");
  }

  /** After a failure it is the way on, and says so; elsewhere its icon is enough. */
  showAgain({ failed, repeatable }) {
    this.againButton.classList.toggle("away", !repeatable);
    for (const quiet of ["b-i", "b-q"]) this.againButton.classList.toggle(quiet, !failed);
    this.againWord.hidden = !failed;
    for (const name of ["aria-label", "title"]) set(this.againButton, name, failed ? null : "Answer again");
  }
}
