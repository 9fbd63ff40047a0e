// Parts of messages that are neither text nor calls: pictures, files, and what no page knows.

import { h, icon } from "./dom.js";
import { tree } from "./json.js";
import { bytes } from "./words.js";

/** A part of a message that is neither text nor a call. */
export function blockElement(block) {
  // Only what comes with the message itself: a remote picture would tell its host who reads this.
  if (block.type === "image" && /^data:image\/(png|jpeg|gif|webp|avif);base64,/.test(block.url)) return h("img.picture", { src: block.url, alt: "Picture of this message" });
  if (block.type === "image") return h("p.note", {}, icon("image"), block.url ? `A picture from ${hostOf(block.url)}, which is not loaded` : "A picture");
  if (block.type === "file") return h("p.filechip", {}, icon("doc"), block.name);
  return h("details.fold", {}, h("summary.note", {}, icon("doc"), block.value?.type ?? "Data"), tree(block.value ?? null));
}

/** A file of text that came with a message: closed, and made when it is first opened. */
export function textFile({ name, size, told }) {
  const body = h("pre.code.wrap", { dir: "auto", tabindex: "0" });
  const open = () => body.firstChild ?? body.append(told);
  return h("details.fold", { on: { toggle: open } }, h("summary.filechip", {}, icon("doc"), h("span", { dir: "auto" }, name), h("span.quiet.num", {}, bytes(size)), icon("right", "i-s turn-arrow")), body);
}

function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return "elsewhere";
  }
}
