// The HTTP API of the server, for pages of the same site: JSON in, JSON out, and errors that say what the server said.

/** What the server refuses; `status` is HTTP's. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

/** The server did not answer at all. */
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
   */
  constructor(root, { token = () => "" } = {}) {
    this.root = new URL(root, location.href);
    this.token = token;
  }

  url(path) {
    return new URL(path, this.root);
  }

  /** The address of a thread's websocket. */
  socketUrl(threadId) {
    const url = this.url(`threads/${threadId}/stream/events`);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url;
  }

  get = (path) => this.call("GET", path);
  post = (path, body = {}) => this.call("POST", path, body);
  patch = (path, body) => this.call("PATCH", path, body);
  delete = (path) => this.call("DELETE", path);

  /** Returns the answer's JSON, or null for an empty one. Throws Refused or Unreachable. */
  async call(method, path, body) {
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (method !== "GET") headers["X-CSRFToken"] = this.token();
    let response;
    try {
      response = await fetch(this.url(path), { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
    } catch {
      throw new Unreachable();
    }
    const text = await response.text().catch(() => "");
    if (!response.ok) throw new Refused(response.status, detailOf(text) || `${response.status} ${response.statusText}`);
    return text ? JSON.parse(text) : null;
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
