// What the connection is, said above the thread: what happened, what will happen, one act.

import { button, h, icon, set, setIcon, setText } from "./dom.js";

const BACK = 4000;
/** A reconnect that is quicker than this is not worth a word. */
const GRACE = 400;
/** What happened, by the code with which the server closed the connection. */
const HAPPENED = { 1012: "The server restarts.", 1013: "The server is busy.", 4429: "You have too many connections open: close other tabs." };

const GLYPHS = { lost: "lost", ok: "ok", err: "error" };

export class Banner {
  constructor(place) {
    this.head = h("b");
    this.rest = h("span");
    // Readers hear what is in it when it changes. What changes each second or with each try stands beside it, and the act too.
    const words = h("span", { role: "status" }, this.head, this.rest);
    this.passing = h("span", { "aria-hidden": "true" });
    this.glyph = icon("lost");
    this.element = h("div", {}, this.glyph, h("span.sp", {}, words, this.passing));
    this.again = button("Try now", () => this.connection.retry());
    this.anew = button("Reload", () => location.reload());
    this.login = h("a.b", {}, "Log in");
    this.clear();
    place.replaceChildren(this.element);
    // What it lies on leaves it that much room.
    new ResizeObserver(() => place.parentElement.style.setProperty("--banner", `${this.element.offsetHeight}px`)).observe(this.element);
  }

  /** @param options.running Whether an answer is under way. */
  follow(connection, { running, login }) {
    this.connection = connection;
    connection.addEventListener("state", ({ detail }) => this.connection === connection && this.show(detail, { running, login }));
  }

  show(state, { running, login }) {
    clearTimeout(this.timer);
    clearInterval(this.clock);
    switch (state.name) {
      case "lost":
        if (this.lost || state.told) this.tell(state, running);
        else this.timer = setTimeout(() => this.tell(state, running), GRACE);
        break;
      case "connecting":
        if (this.lost) setText(this.passing, " Trying again now.");
        break;
      case "open":
        if (this.lost) {
          this.lost = false;
          this.put("ok", "Connected again.");
          this.timer = setTimeout(() => this.clear(), BACK);
        }
        break;
      case "refused":
        this.lost = false;
        this.refused(state, login);
        break;
      case "replaced":
        this.connection = null;
        this.lost = false;
        this.put("err", `You are logged in as ${state.user} now.`, " This page stays as it is, and does nothing more.", this.anew);
        break;
      default:
        this.lost = false;
        this.clear();
    }
  }

  /** What was refused is tried once more, and it is said when the connection is back. */
  expect() {
    this.lost = true;
  }

  tell(state, running) {
    this.lost = true;
    const offline = navigator.onLine === false;
    const left = () => Math.max(1, Math.round((state.retryAt - Date.now()) / 1000));
    const say = () => setText(this.passing, offline ? "" : ` Trying again in ${left()} s.`);
    const rest = running() ? ` The answer goes on from what you see${offline ? " when you are back" : ""}.` : offline ? " What you send goes out when you are back." : "";
    this.put("lost", offline ? "You are offline." : (HAPPENED[state.code] ?? "Connection lost."), rest, this.again);
    say();
    this.clock = setInterval(say, 1000);
  }

  refused({ code, reason }, login) {
    if (code === 4401) {
      set(this.login, "href", login());
      this.put("err", "You have been logged out elsewhere.", " Log in to go on.", this.login);
    } else if (code === 4404) this.put("err", "This thread is gone.", " It was deleted, or it is somebody else’s.");
    else this.put("err", "The server refuses this connection.", ` ${reason}`, this.anew);
  }

  put(kind, head, rest = "", act = null) {
    set(this.element, "class", `banner ${kind}`);
    this.glyph.removeAttribute("hidden");
    setIcon(this.glyph, GLYPHS[kind]);
    setText(this.head, head);
    setText(this.rest, rest);
    setText(this.passing, "");
    if (this.act === act) return;
    const hadFocus = this.act?.contains(document.activeElement);
    this.act?.remove();
    this.act = act;
    if (act) this.element.append(act);
    if (hadFocus) act?.focus();
  }

  /** Only the words go: a region that comes with its words may stay unread. */
  clear() {
    set(this.element, "class", null);
    this.glyph.setAttribute("hidden", "");
    for (const each of [this.head, this.rest, this.passing]) setText(each, "");
    this.act?.remove();
    this.act = null;
  }
}
