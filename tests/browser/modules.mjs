// The pages' modules in Node.js, of which the pure ones need no browser.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

// Node takes them for modules only in a package that says so.
const folder = mkdtempSync(join(tmpdir(), "pages-"));
cpSync(new URL("../../runs/static/runs/js", import.meta.url), folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{"type": "module"}');
after(() => rmSync(folder, { recursive: true }));

export const load = (name) => import(join(folder, name));
