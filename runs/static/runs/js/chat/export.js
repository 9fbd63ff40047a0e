// A thread as a file: Markdown for people, JSON for machines.

import { h } from "../parts/dom.js";
import { pretty } from "../parts/json.js";
import { textOf } from "../protocol/messages.js";

const AUTHORS = { human: "You", ai: "Answer", system: "System", tool: "Tool", other: "Message" };

export function toMarkdown(title, messages) {
  const parts = [`# ${title}`];
  for (const message of messages) {
    const calls = message.blocks.filter(({ type }) => type === "call").map((call) => `Called \`${call.name}\`:\n\n\`\`\`json\n${pretty(call.whole ? call.args : call.argsText)}\n\`\`\``);
    const text = textOf(message);
    const body = [message.role === "tool" ? `\`\`\`\n${text}\n\`\`\`` : text, ...calls].filter(Boolean).join("\n\n");
    if (body) parts.push(`## ${AUTHORS[message.role]}${message.role === "tool" && message.name ? ` ${message.name}` : ""}\n\n${body}`);
  }
  return `${parts.join("\n\n")}\n`;
}

export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A title as the name of a file. */
export const fileName = (title, ending) => `${title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "thread"}.${ending}`;
