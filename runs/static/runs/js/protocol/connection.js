// A websocket of the agent streaming protocol that holds: it comes back by itself, and goes on after the last event that it had.
//
// Events are numbered along their thread and the numbers only grow, also over a crash of the server. So a subscription that
// names the last number gets what follows, and nothing twice. What is not events (commands) is answered once or fails: whoever
// sent one when the connection broke asks the server what became of it.

import { isFinal, isPassing, told } from "./closing.js";

/** Milliseconds before the first, second, … try to come back; the last one holds for all that follow. */
const PAUSES = [250, 500, 1000, 2000, 3000, 5000];
/** A connection that was silent for so long is asked whether it is still there, and given up if it says nothing. */
const SILENCE = 20_000;
const PATIENCE = 8_000;
/** A connection that is being made and was silent for so long is replaced when the page becomes visible. */
const PROMPT = 1_000;

export const CHANNELS = ["values", "messages", "tools", "lifecycle", "input", "tasks", "checkpoints", "custom", "updates"];

/** The connection broke before the answer came: the command may have been done or not. */
export class ConnectionLost extends Error {
  constructor() {
    super("The connection was lost before the server answered.");
    this.name = "ConnectionLost";
  }
}

/** What the server answered instead of doing a command; `code` is the protocol's. */
export class CommandFailed extends Error {
  constructor(code, message) {
    super(message);
    this.name = "CommandFailed";
    this.code = code;
  }
}

/**
 * Dispatches:
 * - "event", whose `detail` is the protocol's event, in the order of the thread, each once;
 * - "state", whose `detail` is {name, …}: "connecting"; "open", all that there was has been told; "lost" with `code`, and `retryAt` in
 *   milliseconds of the clock, which is the server's wish if it told one; "refused" with `code` and `reason`, for good; "closed", by `close()`.
 */
export class Connection extends EventTarget {
  /**
   * @param url The thread's websocket, or a function that returns it or promises it, called before each attempt: a ticket opens one socket.
   * @param options.since The number of the last event that is not wanted; 0 for all.
   * @param options.channels What to subscribe to.
   */
  constructor(url, { since = 0, channels = CHANNELS } = {}) {
    super();
    this.url = url;
    this.since = since;
    this.channels = channels;
    this.state = { name: "closed" };
    this.socket = null;
    this.commands = new Map();
    this.lastId = 0;
    this.failures = 0;
    this.timers = new Set();
    this.listeners = new AbortController();
  }

  /** Connect; also once more after it was refused or closed, and then it goes on where it was. */
  open() {
    this.listeners.abort();
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    addEventListener("online", () => this.retry(), { signal });
    addEventListener("offline", () => this.socket && this.drop(), { signal });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.look(), { signal });
    this.connect();
    return this;
  }

  close() {
    this.listeners.abort();
    this.forget();
    this.socket?.close(1000);
    this.socket = null;
    this.failCommands();
    this.become({ name: "closed" });
  }

  /** Try now, and not when it is due; also in the place of a connection that is being made. */
  retry() {
    if (this.state.name === "connecting") this.leave();
    else if (this.state.name !== "lost") return;
    this.connect();
  }

  /** Send a command; resolves with its result. Rejects with CommandFailed or ConnectionLost. */
  command(method, params = {}) {
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.reject(new ConnectionLost());
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      this.commands.set(id, { resolve, reject });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  // --- one socket

  async connect() {
    this.forget();
    this.heard = performance.now();
    this.become({ name: "connecting" });
    this.expect();
    if (typeof this.url !== "function") return this.use(this.url);
    const connecting = this.state;
    const url = await Promise.resolve().then(this.url).catch(() => null);
    if (this.state !== connecting) return;
    if (url === null) this.ended(1006, "");
    else this.use(url);
  }

  use(url) {
    const socket = (this.socket = new WebSocket(url));
    const mine = (handle) => (event) => socket === this.socket && handle(event);
    socket.addEventListener("open", mine(() => this.subscribe()));
    socket.addEventListener("message", mine((event) => this.receive(JSON.parse(event.data))));
    socket.addEventListener("close", mine(({ code, reason }) => this.ended(code, reason)));
  }

  /** Give up a connection that is being made when it says nothing: a host that vanished is silent for minutes. A replay may take longer. */
  expect() {
    // A slow line is silent while it brings one large event.
    const patience = PATIENCE * Math.min(this.failures + 1, PAUSES.length);
    const left = patience - (performance.now() - this.heard);
    this.after(left, () => {
      if (this.state.name !== "connecting") return;
      if (performance.now() - this.heard < patience) this.expect();
      else this.drop();
    });
  }

  async subscribe() {
    this.heard = performance.now();
    try {
      await this.command("subscription.subscribe", { channels: this.channels, since: this.since });
    } catch (error) {
      if (error instanceof CommandFailed && isPassing(error.message)) this.drop();
      else if (error instanceof CommandFailed) {
        const refused = { name: "refused", code: 0, reason: error.message };
        this.close();
        this.become(refused);
      }
      return;
    }
    this.failures = 0;
    this.become({ name: "open" });
    this.watch();
  }

  receive(frame) {
    this.heard = performance.now();
    if (frame.type === "event") {
      if (frame.seq <= this.since) return;
      this.since = frame.seq;
      this.dispatchEvent(new CustomEvent("event", { detail: frame }));
      return;
    }
    const waiting = this.commands.get(frame.id);
    this.commands.delete(frame.id);
    if (frame.type === "success") waiting?.resolve(frame.result);
    else waiting?.reject(new CommandFailed(frame.error, frame.message));
  }

  ended(code, reason) {
    this.socket = null;
    this.failCommands();
    this.forget();
    if (isFinal(code)) {
      this.listeners.abort();
      this.become({ name: "refused", code, reason });
      return;
    }
    const wish = told(reason);
    const usual = PAUSES[Math.min(this.failures++, PAUSES.length - 1)] * (1 + Math.random() / 4);
    const pause = wish ?? usual;
    this.become({ name: "lost", retryAt: Date.now() + pause, code, told: wish !== null });
    this.after(pause, () => this.connect());
  }

  /** Give up a socket that does not say anything any more. */
  drop() {
    this.leave();
    this.ended(1006, "");
  }

  leave() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.failCommands();
  }

  failCommands() {
    for (const { reject } of this.commands.values()) reject(new ConnectionLost());
    this.commands.clear();
  }

  // --- whether it is still there

  watch() {
    this.after(SILENCE, () => {
      if (performance.now() - this.heard >= SILENCE && document.visibilityState === "visible") this.look();
      this.watch();
    });
  }

  /** Any answer proves that the other end is there, also the one that there is no such command. */
  look() {
    if (this.state.name === "connecting" && performance.now() - this.heard < PROMPT) return;
    if (this.state.name !== "open") return this.state.told || this.retry();
    const asked = performance.now();
    this.command("ping").catch(() => {});
    this.after(PATIENCE, () => this.heard < asked && this.drop());
  }

  // --- small things

  become(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  after(pause, act) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, pause);
    this.timers.add(timer);
  }

  forget() {
    this.timers.forEach(clearTimeout);
    this.timers.clear();
  }
}
