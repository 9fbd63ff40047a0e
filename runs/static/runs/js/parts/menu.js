// Menus and dialogs, which the keyboard reaches and leaves.

import { button, h, icon, set } from "./dom.js";

/** Open a menu at a button. Entries: {label, glyph, act, checked, danger} or null for a line. */
export function openMenu(anchor, entries) {
  const list = h("div.menu", { role: "menu", popover: "auto", "aria-label": anchor.getAttribute("aria-label") ?? anchor.textContent });
  const close = () => list.matches(":popover-open") && list.hidePopover();
  for (const entry of entries) {
    if (!entry) {
      list.append(h("hr"));
      continue;
    }
    const checkable = entry.checked !== undefined;
    const item = h(`button.menu-i${entry.danger ? ".danger" : ""}`, { type: "button", role: checkable ? "menuitemradio" : "menuitem", "aria-checked": checkable ? String(Boolean(entry.checked)) : null, tabindex: "-1" }, icon(entry.checked ? "check" : entry.glyph ?? "blank"), h("span", {}, entry.label, entry.hint ? h("small", {}, entry.hint) : null));
    item.addEventListener("click", () => {
      close();
      entry.act();
    });
    list.append(item);
  }
  // Within the part of the page that it belongs to, for readers who go from part to part.
  (anchor.closest("main, nav, aside, dialog") ?? document.body).append(list);
  list.addEventListener("keydown", (event) => move(event, list));
  list.addEventListener("toggle", ({ newState }) => {
    if (newState !== "closed") return;
    list.remove();
    set(anchor, "aria-expanded", "false");
    if (!document.activeElement || document.activeElement === document.body) anchor.focus();
  });
  list.showPopover();
  set(anchor, "aria-expanded", "true");
  place(list, anchor);
  (list.querySelector("[aria-checked=true]") ?? list.querySelector("button"))?.focus();
}

function place(list, anchor) {
  const at = anchor.getBoundingClientRect();
  const box = list.getBoundingClientRect();
  const below = at.bottom + box.height + 12 < innerHeight;
  list.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - box.height - 4)}px`;
  list.style.left = `${Math.max(8, Math.min(at.right - box.width, innerWidth - box.width - 8))}px`;
}

function move(event, list) {
  const items = [...list.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  items[(to + items.length) % items.length].focus();
}

/** Open a dialog; it is gone once it is closed. `content` gets the function that closes it. */
export function openDialog(title, content, { wide = false } = {}) {
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  const dialog = h(`dialog.dialog${wide ? ".wide" : ""}`, { "aria-labelledby": id });
  const close = () => dialog.close();
  dialog.append(h("header.dialog-h", {}, h("h2", { id }, title), h("span.sp"), h("button.b.b-i.b-q", { type: "button", "aria-label": "Close", on: { click: close } }, icon("x"))), h("div.dialog-b", {}, content(close)));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Close what belongs to a thread that is left. */
export function closeAll() {
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  document.querySelectorAll(".menu:popover-open").forEach((menu) => menu.hidePopover());
}

/** Ask for one line of text; resolves with it, or with null. */
export function askText(title, label, value = "", { submit = "Save" } = {}) {
  return new Promise((resolve) => {
    let answer = null;
    const dialog = openDialog(title, (close) => {
      const field = h("input.in", { id: "asked", value, autofocus: true, maxlength: "200", dir: "auto" });
      const done = (event) => {
        event.preventDefault();
        answer = field.value.trim();
        close();
      };
      return h("form", { on: { submit: done } }, h("div.f", {}, h("label", { for: "asked" }, label), field), h("div.row.end", {}, button("Cancel", close), h("button.b.b-p", {}, submit)));
    });
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/** Ask whether to go on with something that cannot be undone. */
export function confirm(title, text, act) {
  return new Promise((resolve) => {
    let answer = false;
    const dialog = openDialog(title, (close) => h("div", {}, h("p", {}, text), h("div.row.end", {}, button("Cancel", close, { autofocus: true }), button(act, () => {
      answer = true;
      close();
    }, { kind: "b-d" }))));
    dialog.addEventListener("close", () => resolve(answer));
  });
}
