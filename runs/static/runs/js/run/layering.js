// Places the nodes of a graph in layers, from left to right. Pure.

/**
 * The columns of nodes, each a list of ids in their order; edges that lead back do not count.
 *
 * @param nodes Ids.
 * @param edges {source, target}.
 */
export function layers(nodes, edges) {
  const out = new Map(nodes.map((id) => [id, []]));
  for (const { source, target } of edges) if (source !== target && out.has(source) && out.has(target)) out.get(source).push(target);
  const back = new Set();
  const state = new Map();
  for (const start of nodes) {
    const stack = [[start, 0]];
    while (stack.length) {
      const top = stack.at(-1);
      const [id, next] = top;
      if (!next && state.get(id)) {
        stack.pop();
        continue;
      }
      state.set(id, "open");
      const targets = out.get(id);
      if (next >= targets.length) {
        state.set(id, "done");
        stack.pop();
        continue;
      }
      top[1]++;
      const target = targets[next];
      if (state.get(target) === "open") back.add(`${id} ${target}`);
      else if (!state.get(target)) stack.push([target, 0]);
    }
  }
  const depth = new Map(nodes.map((id) => [id, 0]));
  const forward = edges.filter(({ source, target }) => source !== target && out.has(source) && out.has(target) && !back.has(`${source} ${target}`));
  for (let turn = 0, changed = true; changed && turn <= nodes.length; turn++) {
    changed = false;
    for (const { source, target } of forward) {
      if (depth.get(target) <= depth.get(source)) {
        depth.set(target, depth.get(source) + 1);
        changed = true;
      }
    }
  }
  const columns = [];
  for (const id of nodes) (columns[depth.get(id)] ??= []).push(id);
  const place = new Map();
  columns.forEach((column) => column.forEach((id, at) => place.set(id, at)));
  for (const column of columns.slice(1)) {
    const weight = (id) => {
      const above = forward.filter(({ target }) => target === id).map(({ source }) => place.get(source));
      return above.length ? above.reduce((sum, each) => sum + each, 0) / above.length : place.get(id);
    };
    column.sort((one, other) => weight(one) - weight(other));
    column.forEach((id, at) => place.set(id, at));
  }
  return columns.filter(Boolean);
}
