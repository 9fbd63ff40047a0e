// JSON as a tree that opens, and as text.

import { h } from "./dom.js";

const DEEP = 6;

export function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** A value in one line, for a summary. */
export function brief(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value.replace(/\s+/g, " ");
  if (typeof value !== "object") return String(value);
  const entries = Array.isArray(value) ? value.map((each) => [null, each]) : Object.entries(value);
  return entries
    .slice(0, 6)
    .map(([name, each]) => {
      const text = typeof each === "string" ? `“${each.replace(/\s+/g, " ").slice(0, 60)}”` : Array.isArray(each) ? `${each.length} items` : each !== null && typeof each === "object" ? "{…}" : String(each);
      return name === null ? text : `${name}: ${text}`;
    })
    .join(", ");
}

/**
 * A value as elements.
 *
 * @param options.open Whether all of it is seen at once.
 */
export function tree(value, { depth = 0, open = false } = {}) {
  if (value === null || typeof value !== "object") return h(`span.json-${value === null ? "null" : typeof value}`, { dir: "auto" }, typeof value === "string" ? value : String(value));
  const entries = Array.isArray(value) ? value.map((each, place) => [place, each]) : Object.entries(value);
  if (!entries.length) return h("span.json-null", {}, Array.isArray(value) ? "[]" : "{}");
  if (depth >= DEEP) return h("pre.code", { tabindex: "0" }, pretty(value));
  return h("dl.json", {}, entries.map(([name, each]) => {
    const nested = each !== null && typeof each === "object" && Object.keys(each).length > 0;
    if (!nested) return h("div", {}, h("dt", {}, String(name)), h("dd", {}, tree(each, { depth: depth + 1 })));
    const details = h("details", { open: open || (depth < 1 && entries.length < 12) }, h("summary", {}, h("span.json-name", {}, String(name)), h("span.quiet", {}, ` ${Array.isArray(each) ? `${each.length} items` : `${Object.keys(each).length} fields`}`)));
    // Filled when it is opened: a state may be large.
    const fill = () => details.open && details.children.length === 1 && details.append(tree(each, { depth: depth + 1, open }));
    details.addEventListener("toggle", fill);
    fill();
    return h("div.nested", {}, h("dt.vh", {}, String(name)), h("dd", {}, details));
  }));
}
