// Markdown as elements: no HTML of its author becomes markup, no remote picture is asked for, links say where they lead.

import { Marked } from "../../vendor/marked.js";
import DOMPurify from "../../vendor/purify.js";
import { copy, h, icon } from "./dom.js";
import { highlight } from "./highlight.js";

const ALLOWED = {
  ALLOWED_TAGS: ["p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "del", "a", "table", "thead", "tbody", "tr", "th", "td"],
  ALLOWED_ATTR: ["href", "start", "class", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  // Otherwise the pattern of addresses is applied to these two, and drops them.
  ADD_URI_SAFE_ATTR: ["start", "align"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const escape = (text) => String(text).replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => `<a href="${escape(href)}">Image: ${escape(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** A text as a fragment of elements. */
export function render(tokens) {
  const fragment = DOMPurify.sanitize(marked.parser(tokens), ALLOWED);
  fragment.querySelectorAll("[class]").forEach((element) => {
    if (!/^language-[\w+#-]+$/.test(element.className)) element.removeAttribute("class");
  });
  fragment.querySelectorAll("a").forEach(tellWhere);
  fragment.querySelectorAll("table").forEach((table) => {
    const box = h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Table" });
    table.replaceWith(box);
    box.append(table);
  });
  fragment.querySelectorAll("pre > code").forEach(dress);
  // The page's own headings, of which each message has one, are above those of a message.
  fragment.querySelectorAll("h1, h2").forEach((heading) => heading.replaceWith(h(heading.localName === "h1" ? "h3.t1" : "h3.t2", {}, ...heading.childNodes)));
  fragment.querySelectorAll("h5, h6").forEach((heading) => heading.replaceWith(h("h4", {}, ...heading.childNodes)));
  return fragment;
}

function tellWhere(link) {
  const url = urlOf(link.getAttribute("href") ?? "");
  // A relative address would be one of this site, which its author does not know.
  if (!url || !/^(https?|mailto):$/.test(url.protocol)) {
    link.replaceWith(...link.childNodes);
    return;
  }
  link.rel = "noopener noreferrer nofollow";
  link.target = "_blank";
  const place = url.protocol === "mailto:" ? url.pathname : url.host;
  link.title = url.href;
  if (!leadsThere(link.textContent.trim(), place)) link.append(h("span.where", {}, ` (${place})`));
}

function urlOf(text) {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/** Whether the text of a link is itself an address of exactly that place, so that nobody can take it for another. */
function leadsThere(text, place) {
  if (text === place) return true;
  if (/[\s@]/.test(text)) return false;
  return urlOf(/^https?:\/\//i.test(text) ? text : `https://${text}`)?.host === place;
}

function dress(code) {
  const language = /language-([\w+#-]+)/.exec(code.className)?.[1] ?? "";
  const pre = code.parentElement;
  const button = h("button.b.b-q", { type: "button", "aria-label": "Copy the code", on: { click: () => copy(code.textContent.replace(/\n$/, ""), button) } }, icon("copy", "i-s"), "Copy");
  const box = h("div.codebox", {}, h("div.code-h", {}, h("span", {}, language || "text"), h("span.sp"), button));
  pre.replaceWith(box);
  pre.className = "code";
  // It scrolls sideways, and then the keyboard has to reach it.
  pre.tabIndex = 0;
  box.append(pre);
  box.dataset.language = language;
}

/** A last block of more characters, such as a long list or file, is rendered again only after so many milliseconds. */
const LARGE = 4000;
const PAUSE = 200;

/**
 * An element whose markdown may grow. What is complete is rendered once and never touched again, so that nothing moves and
 * a long answer costs no more than a short one; only its last block is rendered again.
 */
export class Markdown {
  constructor() {
    this.settled = h("div.settled");
    this.tail = h("div.tail");
    this.element = h("div.md", { dir: "auto" }, this.settled, this.tail);
    this.source = "";
    this.offset = 0;
    this.done = false;
    this.rendered = 0;
  }

  /** @param growing Whether more may follow. */
  update(source, growing) {
    if (source === this.source && this.done === !growing) return;
    clearTimeout(this.timer);
    const rest = growing && this.source.length - this.offset > LARGE ? this.rendered + PAUSE - performance.now() : 0;
    if (rest > 0) {
      this.timer = setTimeout(() => this.update(source, growing), rest);
      return;
    }
    this.rendered = performance.now();
    if (!source.startsWith(this.source.slice(0, this.offset))) {
      this.settled.replaceChildren();
      this.offset = 0;
    }
    this.source = source;
    this.done = !growing;
    const tokens = marked.lexer(source.slice(this.offset));
    const complete = growing ? tokens.slice(0, lastBlock(tokens)) : tokens;
    if (complete.length) {
      const fragment = render(Object.assign(complete, { links: tokens.links }));
      const boxes = [...fragment.querySelectorAll(".codebox")];
      this.settled.append(fragment);
      boxes.forEach(highlight);
      this.offset += complete.reduce((sum, token) => sum + token.raw.length, 0);
    }
    const last = tokens.slice(complete.length);
    if (last.length) this.tail.replaceChildren(render(Object.assign(last, { links: tokens.links })));
    else this.tail.replaceChildren();
  }
}

/** The place of the last block, which may still grow. */
function lastBlock(tokens) {
  let place = tokens.length - 1;
  while (place > 0 && tokens[place].type === "space") place -= 1;
  return Math.max(place, 0);
}
