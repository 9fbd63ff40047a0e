// Colours for code, loaded when there is some.

const LANGUAGES = {
  python: () => import("../../vendor/highlight/python.js"),
  javascript: () => import("../../vendor/highlight/javascript.js"),
  typescript: () => import("../../vendor/highlight/typescript.js"),
  json: () => import("../../vendor/highlight/json.js"),
  bash: () => import("../../vendor/highlight/bash.js"),
  sql: () => import("../../vendor/highlight/sql.js"),
  xml: () => import("../../vendor/highlight/xml.js"),
  css: () => import("../../vendor/highlight/css.js"),
  yaml: () => import("../../vendor/highlight/yaml.js"),
  diff: () => import("../../vendor/highlight/diff.js"),
};
const ALIASES = { py: "python", js: "javascript", mjs: "javascript", jsx: "javascript", ts: "typescript", tsx: "typescript", sh: "bash", shell: "bash", html: "xml", svg: "xml", yml: "yaml", patch: "diff", postgresql: "sql", jsonc: "json" };
/** Longer code is shown without colours: they would keep the page busy. */
const MOST = 60_000;

const loaded = new Map();

async function load(name) {
  const [core, language] = await Promise.all([import("../../vendor/highlight/core.js"), LANGUAGES[name]()]);
  core.default.registerLanguage(name, language.default);
  return core.default;
}

/** Colour a code box of `markdown.js`. */
export async function highlight(box) {
  const wanted = box.dataset.language.toLowerCase();
  const name = ALIASES[wanted] ?? wanted;
  const code = box.querySelector("code");
  if (!Object.hasOwn(LANGUAGES, name) || code.textContent.length > MOST) return;
  if (!loaded.has(name)) loaded.set(name, load(name));
  try {
    const core = await loaded.get(name);
    const { value } = core.highlight(code.textContent, { language: name, ignoreIllegals: true });
    // The library's own output of escaped text: spans with classes, and nothing else.
    code.innerHTML = value;
  } catch {
    loaded.delete(name);
  }
}
