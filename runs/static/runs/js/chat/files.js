// Files of a message: what may be added, said before anything is sent, and the blocks that they become.

import { bytes, shorten } from "../parts/words.js";

const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/** Endings of text files; browsers know the types of few. */
const ENDINGS = ["txt", "md", "csv", "tsv", "json", "jsonl", "yaml", "yml", "toml", "ini", "log", "py", "js", "mjs", "ts", "tsx", "jsx", "html", "css", "sql", "sh", "go", "rs", "java", "c", "h", "cpp", "rb", "xml"];
const TEXTS = new RegExp(`\\.(${ENDINGS.join("|")})$`, "i");
const MOST_TEXT = 400_000;
/** Bytes of one file, and of all of a message. */
const most = { file: 4e6, all: 5e6 };

export const ACCEPT = [...IMAGES, "application/pdf", "text/*", ...ENDINGS.map((ending) => `.${ending}`)].join(",");
export const limitsText = () => `images, PDF and text, up to ${bytes(most.file)} each and ${bytes(most.all)} a message`;

/** Take as much as a request may hold, in bytes, less what its encoding adds: four characters for three bytes, and the rest of it. */
export function limitTo(body) {
  [most.file, most.all] = [0.48, 0.6].map((part) => floor(body * part));
}

/** The next smaller number of two digits. */
function floor(number) {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(number)) - 1);
  return Math.floor(number / unit) * unit;
}

/** Read files that were chosen, dropped or pasted: {files, problems}. */
export async function readFiles(chosen, before = []) {
  const files = [];
  const problems = [];
  let sum = before.reduce((all, { size }) => all + size, 0);
  for (const file of chosen) {
    const refused = refusal(file, sum);
    if (refused) {
      problems.push(refused);
      continue;
    }
    try {
      files.push(await read(file));
      sum += file.size;
    } catch {
      // It was moved or changed since, or is a folder.
      problems.push(`${file.name || "The file"} could not be read.`);
    }
  }
  return { files, problems };
}

function refusal(file, sum) {
  const name = file.name || "The file";
  if (!isImage(file) && !isPdf(file) && !isText(file)) return `${name} is no image, PDF or text.`;
  if (file.size > most.file) return `${name} has ${bytes(file.size)}; a file may have ${bytes(most.file)}.`;
  if (isText(file) && file.size > MOST_TEXT) return `${name} has ${bytes(file.size)}; a text may have ${bytes(MOST_TEXT)}.`;
  if (sum + file.size > most.all) return `${name} is left out: the files of a message may have ${bytes(most.all)} together.`;
  return null;
}

const isImage = ({ type }) => IMAGES.includes(type);
const isPdf = ({ type }) => type === "application/pdf";
const isText = ({ type, name }) => type.startsWith("text/") || type === "application/json" || TEXTS.test(name ?? "");

async function read(file) {
  const { name, size, type } = file;
  if (isText(file) && !isImage(file)) return { name, size, block: { type: "text", text: `${name}:\n\n${await file.text()}` } };
  const url = await dataUrl(file);
  const base64 = url.slice(url.indexOf(",") + 1);
  if (isImage(file)) return { name, size, preview: url, block: { type: "image_url", image_url: { url } } };
  return { name, size, block: { type: "file", base64, mime_type: type, filename: name } };
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

/** What a text block that was a file begins with. */
const TITLED = /^([^\n]{1,200}):\n\n/;
const ENDING = /\.\w{1,8}$/;

/** A message's content in its order: strings, which people have written, and files: {name, size, preview, block}, one of text with its `told`. */
export function piecesOf(content) {
  if (!Array.isArray(content)) return [String(content ?? "")];
  return content.filter(Boolean).map((each, place) => {
    const block = typeof each === "string" ? { type: "text", text: each } : each;
    return isWritten(block, place) ? String(block.text ?? "") : fileOf(block);
  });
}

/** A message's content as it was written: {text, files}. */
export function partsOf(content) {
  const pieces = piecesOf(content);
  return { text: pieces.filter((each) => each && typeof each === "string").join("\n\n"), files: pieces.filter((each) => typeof each !== "string") };
}

/** Whether a block is text that is no file; what people write stands before the files. */
function isWritten({ type, text }, place) {
  return type === "text" && !(place ? ENDING : TEXTS).test(TITLED.exec(text)?.[1] ?? "");
}

function fileOf(block) {
  if (block.type === "text") {
    const told = block.text.replace(TITLED, "");
    return { name: TITLED.exec(block.text)[1], size: told.length, block, told };
  }
  const url = block.image_url?.url ?? block.image_url;
  const data = block.base64 ?? url ?? "";
  return { name: block.filename ?? (url ? "Picture" : block.type), size: Math.ceil(data.length * 0.75), preview: typeof url === "string" && url.startsWith("data:") ? url : undefined, block };
}

/** What a message is called in a line: its text, or the names of its files. */
export function titleOfContent(content) {
  const { text, files } = partsOf(content);
  return shorten(text || files.map(({ name }) => name).join(", "), 200);
}

/** A message's content: its text alone, or blocks. */
export function contentOf({ text, files }) {
  if (!files.length) return text;
  return [...(text ? [{ type: "text", text }] : []), ...files.map(({ block }) => block)];
}
