// The picture of an assistant's graph on its page in the admin.

import { ask } from "../run/data.js";
import { Graph } from "../run/graph.js";

const root = document.querySelector("#assistant-graph");
const data = {
  get(part, { xray }) {
    const url = new URL(root.dataset.graph, location.href);
    if (xray) url.searchParams.set("xray", xray);
    return ask(url);
  },
};
const graph = new Graph(data, { reveal: () => {} });
root.append(graph.element);
graph.load();
