// What the connection is, said above the thread: what happened, what will happen, one act.

import { button, h, icon } from "./dom.js";

const BACK = 4000;
/** A reconnect that is quicker than this is not worth a word. */
const GRACE = 400;
/** What happened, by the code with which the server closed the connection. */
const HAPPENED = { 1012: "The server restarts.", 1013: "The server is busy.", 4429: "You have too many connections open: close other tabs." };

export class Banner {
  /** @param place A live region. */
  constructor(place) {
    this.place = place;
    this.again = button("Try now", () => this.connection.retry());
    // What it lies on leaves it that much room.
    this.size = new ResizeObserver(([{ target }]) => place.parentElement.style.setProperty("--banner", `${target.offsetHeight}px`));
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
        if (this.lost) this.put("lost", [h("b", {}, "Connection lost."), " Trying again now."], this.again);
        break;
      case "open":
        if (this.lost) {
          this.lost = false;
          this.put("ok", [h("b", {}, "Connected again.")], null);
          this.timer = setTimeout(() => this.clear(), BACK);
        }
        break;
      case "refused":
        this.lost = false;
        this.refused(state, login);
        break;
      default:
        this.lost = false;
        this.clear();
    }
  }

  tell(state, running) {
    this.lost = true;
    const offline = navigator.onLine === false;
    const what = h("b", {}, offline ? "You are offline." : (HAPPENED[state.code] ?? "Connection lost."));
    const left = () => Math.max(1, Math.round((state.retryAt - Date.now()) / 1000));
    // Each second in a live region would be read out.
    const next = h("span", { "aria-hidden": "true" }, "");
    const say = () => (next.textContent = offline ? "" : ` Trying again in ${left()} s.`);
    say();
    const hope = running() ? ` The answer goes on from what you see${offline ? " when you are back" : ""}.` : offline ? " What you send goes out when you are back." : "";
    this.put("lost", [what, hope, next], this.again);
    this.clock = setInterval(say, 1000);
  }

  refused({ code, reason }, login) {
    if (code === 4401) this.put("err", [h("b", {}, "You have been logged out elsewhere."), " Log in to go on."], h("a.b", { href: login() }, "Log in"));
    else if (code === 4404) this.put("err", [h("b", {}, "This thread is gone."), " It was deleted, or it is somebody else’s."], null);
    else this.put("err", [h("b", {}, "The server refuses this connection."), ` ${reason}`], button("Try again", () => location.reload()));
  }

  put(kind, words, act) {
    const glyph = { lost: "lost", ok: "ok", err: "error" }[kind];
    const focused = this.place.contains(document.activeElement);
    this.place.replaceChildren(h(`div.banner.${kind}`, {}, icon(glyph), h("span.sp", {}, words), act));
    this.size.disconnect();
    this.size.observe(this.place.firstElementChild);
    if (focused) act?.focus();
  }

  clear() {
    this.place.replaceChildren();
  }
}
