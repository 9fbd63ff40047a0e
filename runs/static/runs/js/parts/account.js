// Whose page this is. The browser's session is shared by all tabs: a login in another tab replaces the token of this page, and may
// be another person's, whose requests this page must not make.

const field = (root) => root.querySelector("[name=csrfmiddlewaretoken]");
const settingsOf = (root) => JSON.parse(root.querySelector("#settings")?.textContent ?? "{}");

export class Account {
  /**
   * @param settings The page's own: its address (`chat`), and the `user` it was made for: {id, name}.
   * @param acts.replaced Called once, with the other user, when the browser's session has become another one's.
   * @param acts.returned Called when the page's own user is logged in again.
   */
  constructor({ chat, user }, { replaced, returned }) {
    Object.assign(this, { chat, user, replaced, returned });
    /** Whether the server did not know the user any more. */
    this.isOut = false;
    /** The user who is logged in instead of the page's own, if there is one. */
    this.other = null;
    // Pages tell each other for whom they are opened, because not every login replaces a token that the server checks.
    this.pages = new BroadcastChannel(`account ${chat}`);
    this.pages.addEventListener("message", ({ data }) => (data === user.id ? this.look() : this.renew()));
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.look());
    this.pages.postMessage(user.id);
  }

  get token() {
    return field(document)?.value ?? "";
  }

  /** Take the token of a page that is fetched now. Resolves with whether it has one for the same user. */
  async renew() {
    const page = await fetch(this.chat).catch(() => null);
    if (!page?.ok || page.redirected) return false;
    const fetched = new DOMParser().parseFromString(await page.text(), "text/html");
    const { user } = settingsOf(fetched);
    const token = field(fetched)?.value;
    if (!user || !token) return false;
    if (user.id !== this.user.id) this.turn(user);
    if (this.other) return false;
    for (const each of document.querySelectorAll("[name=csrfmiddlewaretoken]")) each.value = token;
    return true;
  }

  /** See whether the user is logged in again, in whichever tab. */
  async look() {
    if (!this.isOut || this.other || !(await this.renew()) || !this.isOut) return;
    this.isOut = false;
    this.returned();
  }

  turn(user) {
    if (this.other) return;
    this.other = user;
    this.replaced(user);
  }
}
