// client.assistants, every method.
import { GRAPH, assert, client, everythingIsCalled, refusal, test } from "./harness.mjs";

const { assistants } = client;
let made;

test("an assistant is created, and found", async () => {
  made = await assistants.create({
    graphId: GRAPH,
    context: { tone: "kind" },
    metadata: { owner: "js" },
    name: "Kind",
    description: "It is kind.",
  });
  assert.equal(made.graph_id, GRAPH);
  assert.equal(made.version, 1);
  assert.equal(made.name, "Kind");
  assert.equal(made.description, "It is kind.");
  assert.deepEqual(made.context, { tone: "kind" });
  assert.deepEqual(await assistants.get(made.assistant_id), made);
});

test("an id is given once", async () => {
  const again = { graphId: GRAPH, assistantId: made.assistant_id };
  assert.equal(await refusal(assistants.create(again)), 409);
  const found = await assistants.create({ ...again, ifExists: "do_nothing" });
  assert.equal(found.name, "Kind");
  assert.equal(await refusal(assistants.create({ graphId: "nobody" })), 404);
});

test("an update is a new version, and the old one can be had back", async () => {
  const updated = await assistants.update(made.assistant_id, { name: "Stern", metadata: { since: 2 } });
  assert.equal(updated.version, 2);
  assert.equal(updated.name, "Stern");
  assert.deepEqual({ owner: updated.metadata.owner, since: updated.metadata.since }, { owner: "js", since: 2 });
  const versions = await assistants.getVersions(made.assistant_id, { limit: 5 });
  assert.deepEqual(versions.map(({ version }) => version), [2, 1]);
  const back = await assistants.setLatest(made.assistant_id, 1);
  assert.equal(back.version, 1);
  assert.equal(back.name, "Kind");
  assert.equal(await refusal(assistants.setLatest(made.assistant_id, 99)), 404);
});

test("assistants are searched, by pages, and counted", async () => {
  const other = await assistants.create({ graphId: GRAPH, metadata: { owner: "js" }, name: "Other" });
  const query = { metadata: { owner: "js" }, sortBy: "name", sortOrder: "asc" };
  const all = await assistants.search(query);
  assert.deepEqual(all.map(({ name }) => name), ["Kind", "Other"]);
  const page = await assistants.search({ ...query, limit: 1, includePagination: true });
  assert.equal(page.assistants.length, 1);
  assert.equal(page.next, "1");
  const rest = await assistants.search({ ...query, limit: 1, offset: 1, includePagination: true });
  assert.equal(rest.next, null);
  assert.deepEqual(await assistants.search({ ...query, name: "oth", select: ["name"] }), [{ name: "Other" }]);
  assert.equal(await assistants.count({ metadata: { owner: "js" }, graphId: GRAPH }), 2);
  assert.equal(await assistants.count({ metadata: { owner: "js" }, name: "kin" }), 1);
  await assistants.delete(other.assistant_id);
});

test("each graph has an assistant of its own", async () => {
  const [system] = await assistants.search({ graphId: "steps", metadata: { created_by: "system" } });
  assert.equal(system.name, "steps");
});

test("a graph can be drawn", async () => {
  const flat = await assistants.getGraph(made.assistant_id);
  assert.ok(flat.nodes.some(({ id }) => id === "team"));
  assert.ok(flat.edges.some(({ source, target }) => source === "tools" && target === "talk"));
  const nested = await assistants.getGraph(made.assistant_id, { xray: 1 });
  assert.ok(nested.nodes.some(({ id }) => id === "team:member"));
  const deepest = await assistants.getGraph(GRAPH, { xray: true });
  assert.ok(deepest.nodes.some(({ id }) => id === "firm:team:member"));
});

test("a graph's schemas and subgraphs can be had", async () => {
  const schemas = await assistants.getSchemas(made.assistant_id);
  assert.equal(schemas.graph_id, GRAPH);
  assert.ok(schemas.state_schema.properties.steps);
  const subgraphs = await assistants.getSubgraphs(made.assistant_id, { recurse: true });
  assert.deepEqual(Object.keys(subgraphs).sort(), ["firm", "firm|team", "team"]);
  assert.deepEqual(Object.keys(await assistants.getSubgraphs(made.assistant_id, { namespace: "team" })), ["team"]);
});

test("a deleted assistant is gone", async () => {
  await assistants.delete(made.assistant_id);
  assert.equal(await refusal(assistants.get(made.assistant_id)), 404);
  assert.equal(await refusal(assistants.delete(made.assistant_id)), 404);
});

everythingIsCalled("assistants");
