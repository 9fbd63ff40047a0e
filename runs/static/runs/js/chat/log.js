// The log of a thread: people's messages and the agent's turns, which grow where they stand.

import { copy, h, icon, iconButton, reconcile, set, setText } from "../parts/dom.js";
import { stepView } from "../parts/steps.js";
import { count } from "../parts/words.js";
import { HumanView } from "./human.js";

/** Entries that are shown at once; older ones follow, a few at a time, when the page has nothing else to do. */
const FIRST = 40;
const MORE = 12;
/** Pixels from the end within which the page follows what is added. */
const NEAR = 60;

const idle = window.requestIdleCallback ?? ((act) => setTimeout(act, 50));

export class Log {
  /** @param acts What can be done with an entry: edit(entry, text), again(entry), version(entry, step), retry(message), withdraw(message); and a run's address(id). */
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
    this.limit = FIRST;
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.follow()).observe(this.column);
    new ResizeObserver(() => this.follow()).observe(this.scroller);
  }

  /** Show entries of `timeline.js`. */
  update(entries) {
    this.entries = entries;
    const shown = entries.slice(-this.limit);
    // The observer of its size follows what is added: to ask for the size here would lay out the page twice.
    reconcile(this.column, this.views, shown, { make: (entry) => (entry.kind === "human" ? new HumanView(this.acts) : new TurnView(this.acts)) });
    if (entries.length > this.limit && !this.waiting) {
      this.waiting = true;
      idle(() => this.more());
    }
  }

  more() {
    this.waiting = false;
    const height = this.follows ? 0 : this.scroller.scrollHeight - this.scroller.scrollTop;
    this.limit += MORE;
    this.update(this.entries);
    if (!this.follows) this.scroller.scrollTop = this.scroller.scrollHeight - height;
  }

  /** What stands below the last entry, such as a question. */
  below(...elements) {
    const found = elements.filter(Boolean);
    if (found.length === this.extra.childElementCount && found.every((each, place) => this.extra.children[place] === each)) return;
    this.extra.replaceChildren(...found);
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    const grown = scrollHeight !== this.height;
    this.height = scrollHeight;
    // Growth alone is no wish to look elsewhere.
    if (grown && this.follows) return;
    this.follows = scrollHeight - scrollTop - clientHeight < NEAR;
    this.newest.hidden = this.follows;
  }

  follow() {
    if (!this.follows) {
      const { scrollHeight, scrollTop, clientHeight } = this.scroller;
      this.newest.hidden = scrollHeight - scrollTop - clientHeight < NEAR;
      return;
    }
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.height = this.scroller.scrollHeight;
    this.newest.hidden = true;
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
