// Keys of the page, and the dialog that shows them.

import { composes, h } from "../parts/dom.js";
import { openDialog } from "../parts/menu.js";

const KEYS = [
  ["/", "Search the threads"],
  ["n", "New thread"],
  ["j  k", "Next, previous thread"],
  ["m", "Write a message"],
  ["Enter", "Send"],
  ["Shift Enter", "New line"],
  ["↑", "Edit the last message, from an empty field"],
  ["Esc", "Stop the answer"],
  ["g", "To the newest message"],
  ["?", "Show these keys"],
];

export function showKeys() {
  openDialog("Keys", () => h("dl.keys", {}, KEYS.map(([key, meaning]) => h("div", {}, h("dt", {}, key.split(/ +/).map((each) => h("kbd", {}, each))), h("dd", {}, meaning)))));
}

/** Whether keys are text there. */
export const isField = (element) => element?.matches?.("input, textarea, select, [contenteditable]");

/** @param acts What keys do, by their names. */
export function listen(acts) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || composes(event)) return;
    if (document.querySelector("dialog[open], .menu:popover-open")) return;
    if (event.key === "Escape") return void acts.escape(event);
    if (isField(event.target)) return;
    const act = { "/": acts.search, n: acts.fresh, j: acts.next, k: acts.previous, m: acts.write, g: acts.newest, "?": showKeys }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
