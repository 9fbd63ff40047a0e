// Files that a graph has made, as people see them.

import { h } from "./dom.js";
import { highlight } from "./highlight.js";
import { Markdown } from "./markdown.js";
import { bytes, count } from "./words.js";

const PICTURES = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", avif: "image/avif" };
const endingOf = (name) => /\.(\w+)$/.exec(name)?.[1].toLowerCase() ?? "";

/** What a version is in a few words. */
export function describeFile(file) {
  if (file.binary) return bytes(file.content.length * 0.75);
  const words = file.content.trim().split(/\s+/).filter(Boolean).length;
  return /^(md|markdown|txt|)$/.test(endingOf(file.name)) ? count(words, "word") : count(file.content.trimEnd().split("\n").length, "line");
}

/** The type under which it is downloaded. */
export function mimeOf(file) {
  return file.mime || PICTURES[endingOf(file.name)] || (file.binary ? "application/octet-stream" : "text/plain;charset=utf-8");
}

/** What is downloaded. */
export function contentOf(file) {
  return file.binary ? Uint8Array.from(atob(file.content), (each) => each.charCodeAt(0)) : file.content;
}

/** A file as elements: markdown, a picture, or code. */
export function fileElement(file) {
  const ending = endingOf(file.name);
  if (file.binary) {
    const mime = mimeOf(file);
    if (Object.values(PICTURES).includes(mime)) return h("img.file-picture", { src: `data:${mime};base64,${file.content}`, alt: file.name });
    return h("p.quiet", {}, "There is no view of this kind of file; it can be downloaded.");
  }
  if (ending === "md" || ending === "markdown") {
    const markdown = new Markdown();
    markdown.update(file.content, false);
    return markdown.element;
  }
  const box = h("div.codebox", { "data-language": ending }, h("pre.code.wrap", { tabindex: "0" }, h("code", {}, file.content)));
  highlight(box);
  return box;
}
