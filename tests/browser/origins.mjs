// A separate front end: the page has another origin, and sends a key. And an origin that the operator has not allowed.
import { another, assert, pages, scenario, test, url } from "./harness.mjs";

const { PAGES_PORT: port, KEY: key } = process.env;
const front = `http://front.localhost:${port}`;
const stranger = `http://stranger.localhost:${port}`;
const threadOf = (id, headers) => fetch(`${url}/threads/${id}`, { headers });

pages(port);

scenario("a page of another origin works with a key, over HTTP and a websocket", async (hook) => {
  const chat = await another({ ...hook, api: url, key }, { origin: front });
  await chat.send("talk 5 0.2");
  await chat.shows(["talk 5 0.2", "w0 w1 w2 w3 w4 "]);
  assert.ok((await chat.seen()).length > 4, "It did not stream.");
  await chat.send("ask");
  await chat.has(".question", "well?");
  await chat.idle();
  await chat.answer("yes");
  await chat.shows(["talk 5 0.2", "w0 w1 w2 w3 w4 ", "ask", "You said yes."]);
  // Its objects belong to the key's owner, and not to the local user, as whom any page of this machine could act.
  assert.equal((await threadOf(chat.thread())).status, 404);
  assert.equal((await threadOf(chat.thread(), { "x-api-key": key })).status, 200);
  chat.done();
  await chat.tab.close();
});

/** Request the API from a page; the evaluated function reads what a client reads. */
async function ask(origin, work, argument) {
  const { tab } = await another({ hook: "legacy" }, { origin });
  try {
    return await tab.evaluate(work, { url, key, ...argument });
  } finally {
    await tab.close();
  }
}

test("a page of another origin reads the headers that clients need", async () => {
  const found = await ask(front, async ({ url, key }) => {
    const post = (path, body) =>
      fetch(url + path, { method: "POST", headers: { "content-type": "application/json", "x-api-key": key }, body: JSON.stringify(body) });
    const { thread_id } = await (await post("/threads", {})).json();
    const searched = await post("/threads/search", { limit: 1 });
    const streamed = await post(`/threads/${thread_id}/runs/stream`, { assistant_id: "obeying", input: { messages: [{ role: "user", content: "talk 1" }] } });
    await streamed.text();
    return {
      thread_id,
      total: searched.headers.get("x-pagination-total"),
      next: searched.headers.get("x-pagination-next"),
      content: streamed.headers.get("content-location"),
      location: streamed.headers.get("location"),
    };
  });
  assert.match(found.total, /^[1-9]/);
  assert.equal(found.next, "1");
  assert.match(found.content, new RegExp(`^/threads/${found.thread_id}/runs/[0-9a-f-]+$`));
  assert.equal(found.location, `${found.content}/stream`);
});

test("a browser is told that it may ask this machine for a page of another network", async () => {
  const preflight = (origin) =>
    fetch(`${url}/threads`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key", "access-control-request-private-network": "true" },
    });
  const told = await preflight(front);
  assert.equal(told.status, 204);
  assert.equal(told.headers.get("access-control-allow-origin"), front);
  assert.equal(told.headers.get("access-control-allow-private-network"), "true");
  assert.equal((await preflight(stranger)).status, 403);
});

/** The code and reason with which a websocket is closed. */
const closing = (origin, key) =>
  ask(
    origin,
    ({ url, key }) =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/threads/${crypto.randomUUID()}/stream/events`, key);
        socket.onopen = () => socket.send("?");
        socket.onmessage = ({ data }) => resolve(JSON.parse(data).error);
        socket.onclose = ({ code, reason }) => resolve(`${code} ${reason}`);
      }),
    { key },
  );

test("a page whose origin is not allowed is refused, over HTTP and a websocket, whatever it shows", async () => {
  const failed = await ask(stranger, ({ url, key }) => fetch(`${url}/threads/search`, { method: "POST", headers: { "x-api-key": key } }).catch((error) => error.message));
  assert.equal(failed, "Failed to fetch");
  assert.match(await closing(stranger, ["api-key", key]), /^1006 /);
  assert.equal(await closing(front, ["api-key", key]), "invalid_argument");
  assert.match(await closing(front, ["api-key", "dfk_unknown"]), /^4401 /);
});
