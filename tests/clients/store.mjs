// client.store, every method.
import { assert, client, everythingIsCalled, refusal, test } from "./harness.mjs";

const { store } = client;
const PLACE = ["js", "notes"];

test("an item is put, and got", async () => {
  await store.putItem(PLACE, "first", { text: "hello", stars: 3 });
  const item = await store.getItem(PLACE, "first", { refreshTtl: true });
  assert.deepEqual(item.value, { text: "hello", stars: 3 });
  assert.deepEqual(item.namespace, PLACE);
  assert.equal(item.key, "first");
  assert.ok(item.createdAt && item.updatedAt);
  await store.putItem(PLACE, "first", { text: "hello again", stars: 4 }, { index: false, ttl: 60 });
  assert.equal((await store.getItem(PLACE, "first")).value.stars, 4);
});

test("what is not there is null", async () => {
  assert.equal(await store.getItem(PLACE, "nothing"), null);
});

test("items are searched", async () => {
  await store.putItem(PLACE, "second", { text: "bye", stars: 1 });
  await store.putItem(["js", "other"], "third", { text: "bye", stars: 5 });
  const keys = ({ items }) => items.map(({ key }) => key).sort();
  assert.deepEqual(keys(await store.searchItems(["js"])), ["first", "second", "third"]);
  assert.deepEqual(keys(await store.searchItems(PLACE, { filter: { text: "bye" } })), ["second"]);
  assert.deepEqual(keys(await store.searchItems(["js"], { filter: { stars: { $gte: 4 } } })), ["first", "third"]);
  const pages = [];
  for (const offset of [0, 1, 2]) pages.push(...keys(await store.searchItems(["js"], { limit: 1, offset })));
  assert.deepEqual(pages.sort(), ["first", "second", "third"]);
  assert.ok((await store.searchItems(["js"], { query: "hello", limit: 1, refreshTtl: false })).items.length === 1);
});

test("namespaces are listed", async () => {
  const { namespaces } = await store.listNamespaces({ prefix: ["js"] });
  assert.deepEqual(namespaces.map((each) => each.join(".")).sort(), ["js.notes", "js.other"]);
  assert.deepEqual((await store.listNamespaces({ prefix: ["js"], maxDepth: 1 })).namespaces, [["js"]]);
  assert.deepEqual((await store.listNamespaces({ prefix: ["js"], suffix: ["notes"] })).namespaces, [PLACE]);
  assert.equal((await store.listNamespaces({ prefix: ["js"], limit: 1, offset: 1 })).namespaces.length, 1);
});

test("an item is deleted, once and again", async () => {
  for (const again of [false, true]) {
    await store.deleteItem(PLACE, "first");
    assert.equal(await store.getItem(PLACE, "first"), null, `again: ${again}`);
  }
});

test("a namespace has labels, without dots", async () => {
  await assert.rejects(store.putItem(["a.b"], "key", {}), /Invalid namespace label/);
  assert.equal(await refusal(store.putItem([], "key", {})), 400);
});

everythingIsCalled("store");
