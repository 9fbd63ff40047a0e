// What threads are called. Pure.

import { shorten } from "../parts/words.js";

/**
 * What a thread is called: as it was renamed, as its graph says, or how its first message begins. The page without scripts has
 * the same rule (`threads.texts.content.called`).
 */
export function titleOf(thread, values) {
  const { metadata = {}, extracted = {} } = thread ?? {};
  if (extracted.found) return shorten(extracted.found, 70);
  const titles = [metadata.renamed && metadata.title, values?.title, extracted.title, metadata.title];
  const named = titles.find((each) => typeof each === "string" && each.trim());
  return shorten(named ?? begins(values?.messages?.[0]?.content ?? extracted.first), 70) || "Untitled";
}

/** The text of a message's content. */
function begins(content) {
  const blocks = Array.isArray(content) ? content : [content ?? ""];
  return blocks.map((each) => (typeof each === "string" ? each : (each?.text ?? ""))).join(" ");
}
