// The HTTP API of the server, for pages of the same site: JSON in, JSON out, and errors that say what the server said.

/** What the server refuses; `status` is HTTP's. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

/** Milliseconds after which a request is given up, and the bytes of its body that a slow line takes in one. */
const PATIENCE = 30_000;
const SLOWEST = 20;

/** The server did not answer, or something else did in its place. A request that changes something may have been done or not. */
export class Unreachable extends Error {
  constructor() {
    super("The server cannot be reached.");
    this.name = "Unreachable";
  }
}

export class Api {
  /**
   * @param root Where the API is, such as "/".
   * @param options.token Returns the CSRF token that a page with a session needs.
   * @param options.renew Fetches another token, as after a login in another tab; resolves with whether there is one for the same user.
   * @param options.loggedOut Called when the server does not know the user any more.
   */
  constructor(root, { token = () => "", renew = async () => false, loggedOut = () => {} } = {}) {
    this.root = new URL(root, location.href);
    Object.assign(this, { token, renew, loggedOut });
  }

  /** Refuse all that follows, with this reason: what is asked for now would be another user's. */
  close(reason) {
    this.closed = reason;
  }

  url(path) {
    if (this.closed) throw new Refused(403, this.closed);
    return new URL(path, this.root);
  }

  /** The address of a thread's websocket. */
  socketUrl(threadId) {
    const url = this.url(`threads/${threadId}/stream/events`);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url;
  }

  get = (path) => this.call("GET", path);
  post = (path, body = {}, options) => this.call("POST", path, body, options);
  patch = (path, body) => this.call("PATCH", path, body);
  delete = (path) => this.call("DELETE", path);

  /**
   * Returns the answer's JSON, or null for an empty one. Throws Refused or Unreachable.
   *
   * @param options.key The name of a request that creates something: repeated with it, it creates nothing more.
   */
  async call(method, path, content, { key } = {}) {
    const body = content === undefined ? undefined : JSON.stringify(content);
    let { response, text } = await this.send(method, path, body, key);
    if (response.status === 403 && text.includes("CSRF")) {
      if (await this.renew()) ({ response, text } = await this.send(method, path, body, key));
      else this.loggedOut();
    }
    // It was refused, or read, as another user. What was changed with a token of this page's user was not.
    if (this.closed && (method === "GET" || !response.ok)) throw new Refused(403, this.closed);
    if (response.status === 401) this.loggedOut();
    if (!response.ok) throw new Refused(response.status, detailOf(text) || `${response.status} ${response.statusText}`);
    try {
      return text ? JSON.parse(text) : null;
    } catch {
      // Such as the page with which a network asks for a login.
      throw new Unreachable();
    }
  }

  async send(method, path, body, key) {
    const headers = { Accept: "application/json" };
    if (key) headers["Idempotency-Key"] = key;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (method !== "GET") headers["X-CSRFToken"] = this.token();
    const signal = AbortSignal.timeout(PATIENCE + (body?.length ?? 0) / SLOWEST);
    const url = this.url(path);
    try {
      const response = await fetch(url, { method, headers, body, signal, credentials: "same-origin" });
      return { response, text: await response.text() };
    } catch {
      throw new Unreachable();
    }
  }
}

function detailOf(text) {
  try {
    const { detail } = JSON.parse(text);
    return typeof detail === "string" ? detail : JSON.stringify(detail);
  } catch {
    return text.length < 300 ? text : "";
  }
}
