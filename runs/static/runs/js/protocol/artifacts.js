// Files that a graph keeps in its state, and their versions as they were told. Pure.
//
// A state's `files` are {name: text} or {name: {content, encoding, mime_type}}, as deepagents keeps them; `artifacts` are the same, or
// a list of {name, content, encoding, mime_type}.

/** Versions of one file that are kept. */
const MOST = 50;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** The files of a state: {name, content, binary, mime} by their names; the content of a binary one is base64. */
export function filesOf(values) {
  const found = new Map();
  for (const held of [values?.files, values?.artifacts]) {
    const named = Array.isArray(held) ? held.map((each) => [each?.name ?? each?.title ?? each?.path, each]) : isObject(held) ? Object.entries(held) : [];
    for (const [name, each] of named) {
      const file = fileOf(name, each);
      if (file) found.set(file.name, file);
    }
  }
  return found;
}

function fileOf(name, held) {
  if (typeof name !== "string" || !name) return null;
  const told = isObject(held) ? held : { content: held };
  const content = Array.isArray(told.content) ? told.content.join("\n") : told.content ?? told.text;
  if (typeof content !== "string") return null;
  return { name: name.replace(/^\/+/, ""), content, binary: told.encoding === "base64", mime: typeof told.mime_type === "string" ? told.mime_type : "" };
}

export class Artifacts {
  constructor() {
    /** Each file's versions, oldest first: {name, content, binary, mime, run, anchor, at}. */
    this.files = new Map();
  }

  /** Take a state's files: what differs from the newest version is a new one. */
  take(values, { run = null, anchor = null, at = 0 } = {}) {
    for (const [name, file] of filesOf(values)) {
      const versions = this.files.get(name) ?? [];
      if (versions.at(-1)?.content === file.content) continue;
      this.files.set(name, [...versions, { ...file, run, anchor, at }].slice(-MOST));
    }
  }

  /** Take the states of a thread's history, newest first, which may reach further back than what was told. */
  extend(states) {
    const older = new Artifacts();
    for (const { values, created_at: created } of [...states].reverse()) older.take(values, { at: Date.parse(created) || 0 });
    for (const [name, versions] of older.files) {
      const known = this.files.get(name) ?? [];
      const more = versions.length - known.length;
      if (more > 0) this.files.set(name, [...versions.slice(0, more), ...known]);
    }
  }
}
