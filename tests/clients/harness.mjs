// Shared by this folder's scripts: a stock client, requests for faults, and a check of the called methods.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "@langchain/langgraph-sdk";

export { assert, test };
export const url = process.env.SERVER_URL;
export const GRAPH = "obeying";

const called = new Set();

/** A client that records its called methods. */
function noting(client) {
  const note = (part, name) =>
    new Proxy(part, {
      get(target, key) {
        const value = Reflect.get(target, key, target);
        if (typeof value !== "function") return value;
        called.add(`${name}.${String(key)}`);
        return value.bind(target);
      },
    });
  return Object.fromEntries(
    ["assistants", "threads", "runs", "crons", "store"].map((name) => [name, note(client[name], name)]),
  );
}

const stock = new Client({ apiUrl: url, apiKey: null });
export const client = noting(stock);

/** The last test of a script: each public method of a part of the client was called. */
export function everythingIsCalled(part) {
  test(`every method of client.${part} was called`, () => {
    const prototype = Object.getPrototypeOf(stock[part]);
    const methods = Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor");
    assert.ok(methods.length > 0);
    assert.deepEqual(
      methods.filter((name) => !called.has(`${part}.${name}`)),
      [],
    );
  });
}

/** Request a fault of the server from the Python side: "kill", "start", "stop". */
export async function fault(name) {
  const response = await fetch(`${process.env.CONTROL_URL}/${name}`, { method: "POST" });
  assert.equal(response.status, 200, await response.text());
}

export const say = (text) => ({ messages: [{ type: "human", content: text }] });

export async function collect(stream, { until } = {}) {
  const parts = [];
  for await (const part of stream) {
    parts.push(part);
    if (until?.(part)) break;
  }
  return parts;
}

/** Wait until a condition holds; return what it returned. */
export async function eventually(condition, { seconds = 15, what = condition.toString() } = {}) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < end, `Not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The server's answer to a call that it must refuse. */
export async function refusal(promise) {
  const error = await promise.then(
    () => assert.fail("The server did not refuse it."),
    (reason) => reason,
  );
  assert.ok(error.status, error.stack);
  return error.status;
}

export const texts = (values) => values.messages.map((message) => message.content);

/** The text of a run's last message. */
export const last = (values) => values.messages.at(-1).content;
