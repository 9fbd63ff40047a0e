// Elements without markup in strings: what a model or a tool says is text, and never becomes an element by itself.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element.
 *
 * @param what Its tag with classes: "button.b.b-q".
 * @param props Attributes; `on` has handlers by their events; true sets an attribute, false and null leave it out.
 * @param children Elements, texts, or lists of them; null is left out.
 */
export function h(what, props = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "on") for (const [type, handle] of Object.entries(value)) element.addEventListener(type, handle);
    else set(element, name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

export function set(element, name, value) {
  if (value == null || value === false) element.removeAttribute(name);
  else if (name === "value") element.value = value;
  else if (element.getAttribute(name) !== String(value === true ? "" : value)) element.setAttribute(name, value === true ? "" : value);
}

export function icon(name, classes = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `i ${classes}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function setIcon(svg, name) {
  set(svg.firstChild, "href", `#i-${name}`);
}

/** A button with an icon alone; its name is for readers and as a tip. */
export function iconButton(name, label, act, props = {}) {
  return h("button.b.b-i.b-q", { type: "button", "aria-label": label, title: label, on: { click: act }, ...props }, icon(name));
}

export function button(label, act, { kind = "", glyph, ...props } = {}) {
  return h(`button.b${kind ? `.${kind}` : ""}`, { type: "button", on: { click: act }, ...props }, glyph ? icon(glyph) : null, label);
}

/** State's shape, colour and word, always together; the word may be for readers alone. */
const STATES = {
  queued: ["queued", "idle", "Queued"], running: ["running", "run", "Running"], ask: ["ask", "ask", "Question waiting"],
  done: ["ok", "ok", "Done"], failed: ["error", "err", "Failed"], lost: ["lost", "lost", "Cut off"], stopped: ["stopped", "idle", "Stopped"],
};

export function state(name, { word, quiet = false } = {}) {
  const [glyph, colour, usual] = STATES[name];
  const svg = icon(glyph, name === "running" ? "spin" : "");
  return h(`span.st.${colour}`, {}, svg, quiet ? h("span.vh", {}, word ?? usual) : (word ?? usual));
}

/** Set a text only if it differs: what has not changed keeps its selection. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make a list of elements be those of the items, in their order, and move as few as can be.
 *
 * @param views A Map of the keys to the views so far, which this changes.
 * @param make Makes the view of an item: {element, update(item)}.
 */
export function reconcile(parent, views, items, { key = (item) => item.key, make, after = null }) {
  const wanted = new Set(items.map(key));
  for (const [name, view] of views) {
    if (wanted.has(name)) continue;
    view.element.remove();
    views.delete(name);
  }
  let next = after ? after.nextSibling : parent.firstChild;
  for (const item of items) {
    const name = key(item);
    let view = views.get(name);
    if (!view) views.set(name, (view = make(item)));
    view.update(item);
    if (view.element === next) next = next.nextSibling;
    else parent.insertBefore(view.element, next);
  }
}

/**
 * Whether a key belongs to the composition of text, as in Japanese and Chinese. The key that confirms it comes in Safari after the
 * composition's end, with nothing but the code that browsers give such keys.
 */
export const composes = ({ isComposing, keyCode }) => isComposing || keyCode === 229;

export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea.vh", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (!button) return;
  const svg = button.querySelector("svg");
  if (svg) setIcon(svg, "check");
  const label = button.getAttribute("aria-label");
  if (label) button.setAttribute("aria-label", "Copied");
  setTimeout(() => {
    if (svg) setIcon(svg, "copy");
    if (label) button.setAttribute("aria-label", label);
  }, 1500);
}
