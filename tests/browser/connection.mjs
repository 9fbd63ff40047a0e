// A websocket that holds, without a browser and a server: when it is given up, and when it is replaced.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./modules.mjs";

/** The page's events, which stand for the browser's. */
const page = new EventTarget();
globalThis.addEventListener = (...listener) => page.addEventListener(...listener);
globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });

const sockets = [];
globalThis.WebSocket = class extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;

  constructor() {
    super();
    Object.assign(this, { readyState: 0, sent: [] });
    sockets.push(this);
  }

  send = (text) => this.sent.push(JSON.parse(text));
  close = () => (this.readyState = 3);

  opens() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  says(frame) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(frame) }));
  }

  answers = () => this.says({ type: "success", id: this.sent.at(-1).id, result: {} });
};

const { Connection } = await load("protocol/connection.js");

/** Open a connection in a time that only passes when it is told to. */
function open(t) {
  let now = 0;
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(performance, "now", () => now);
  t.mock.method(Math, "random", () => 0);
  sockets.length = 0;
  const connection = new Connection("ws://site.example/").open();
  t.after(() => connection.close());
  const pass = (milliseconds) => {
    for (const end = now + milliseconds; now < end; ) {
      now += 50;
      t.mock.timers.tick(50);
    }
  };
  return { connection, pass };
}

test("a socket whose subscription is not answered is given up, and another one is made", async (t) => {
  const { connection, pass } = open(t);
  sockets[0].opens();
  pass(7000);
  assert.equal(connection.state.name, "connecting");
  pass(1500);
  assert.equal(sockets[0].readyState, 3);
  assert.equal(sockets.length, 2);
  sockets[1].opens();
  sockets[1].answers();
  await new Promise(setImmediate);
  assert.equal(connection.state.name, "open");
});

test("an address that nobody tells, and a socket that does not open, are given up too", async (t) => {
  const { connection, pass } = open(t);
  pass(8300);
  assert.equal(sockets.length, 2);
  connection.url = () => new Promise(() => {});
  connection.retry();
  pass(7000);
  assert.equal(connection.state.name, "connecting");
  pass(9050);
  assert.equal(connection.state.name, "lost");
});

test("a replay that takes longer is not cut", async (t) => {
  const { connection, pass } = open(t);
  sockets[0].opens();
  for (let seq = 1; seq < 10; seq++) {
    pass(6000);
    sockets[0].says({ type: "event", seq });
  }
  assert.deepEqual([connection.state.name, connection.since, sockets.length], ["connecting", 9, 1]);
  sockets[0].answers();
  await new Promise(setImmediate);
  assert.equal(connection.state.name, "open");
  pass(60_000);
  assert.equal(sockets[0].sent.at(-1).method, "ping");
});

test("who comes back, or is online again, does not wait for a connection that is being made", (t) => {
  const { connection, pass } = open(t);
  const shown = () => document.dispatchEvent(new Event("visibilitychange"));
  sockets[0].opens();
  pass(500);
  shown();
  assert.equal(sockets.length, 1);
  pass(1000);
  shown();
  assert.deepEqual(sockets.map(({ readyState }) => readyState), [3, 0]);
  page.dispatchEvent(new Event("online"));
  connection.retry();
  assert.deepEqual(sockets.map(({ readyState }) => readyState), [3, 3, 3, 0]);
  // What the others still have to say is not heard.
  sockets[1].opens();
  assert.deepEqual(sockets[1].sent, []);
  assert.equal(connection.state.name, "connecting");
});
