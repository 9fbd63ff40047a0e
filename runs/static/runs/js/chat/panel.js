// The panel beside the thread: one file that the graph made, its versions, a copy and a download.

import { copy, h, icon, iconButton, set, setText } from "../parts/dom.js";
import { contentOf, describeFile, fileElement, mimeOf } from "../parts/files.js";
import { openMenu } from "../parts/menu.js";
import { count } from "../parts/words.js";
import { filesOf } from "../protocol/artifacts.js";
import { download } from "./export.js";

const $ = (id) => document.getElementById(id);
export class Panel {
  constructor(page) {
    this.page = page;
    this.place = $("panel");
    this.button = h("button.b.b-q.no-phone.files", { type: "button", hidden: true, on: { click: () => this.choose(this.button) } }, icon("doc"), (this.number = h("span")));
    this.title = h("h2", { dir: "auto", tabindex: "-1" });
    this.version = h("span.only-phone");
    this.words = h("span");
    this.older = iconButton("left", "Older version", () => this.step(-1));
    this.newer = iconButton("right", "Newer version", () => this.step(1));
    this.at = h("span.num.no-phone");
    this.pick = h("span.pick", { role: "group", "aria-label": "Versions of this file" }, this.older, this.at, this.newer);
    this.copyButton = iconButton("copy", "Copy the file", () => copy(this.file.content, this.copyButton));
    const save = iconButton("dl", "Download", () => download(this.file.name.split("/").at(-1), contentOf(this.file), mimeOf(this.file)));
    this.body = h("div.panel-b", { tabindex: "0", role: "region", "aria-label": "Content of the file" });
    this.place.append(h("header.head", {}, h("div.sp", {}, this.title, h("p.num", {}, this.version, this.words)), this.pick, this.copyButton, save, iconButton("x", "Close the file", () => this.close())), this.body);
    $("stage").addEventListener("file", ({ detail }) => this.open(detail.name, detail.place));
  }

  /** The files of what is looked at: each one's versions, by its name. */
  files() {
    const { session } = this.page;
    if (!session || session.catchingUp) return new Map();
    const { view } = session.versions;
    if (!view) return session.model.artifacts.files;
    return new Map([...filesOf(view.values)].map(([name, file]) => [name, [file]]));
  }

  /** Open a file at one of its versions, counted from 0; at the newest without one. */
  open(name, place = null) {
    if (this.place.hidden) this.opener = document.activeElement;
    Object.assign(this, { name, chosen: place, file: null });
    this.page.shell.panel(true);
    this.update();
    this.title.focus();
    this.page.session?.readOlderFiles();
  }

  close() {
    this.name = null;
    this.page.shell.panel(false);
    const back = this.opener?.isConnected ? this.opener : $("message");
    back?.focus();
  }

  get isOpen() {
    return !this.place.hidden;
  }

  choose(anchor) {
    const names = [...this.files().keys()];
    if (names.length === 1) return this.open(names[0]);
    openMenu(anchor, names.map((name) => ({ label: name, glyph: "doc", checked: name === this.name, act: () => this.open(name) })));
  }

  step(by) {
    const versions = this.files().get(this.name) ?? [];
    const next = this.placeIn(versions) + by;
    if (next < 0 || next >= versions.length) return;
    this.chosen = next === versions.length - 1 ? null : versions[next];
    this.update();
  }

  /** Which version is looked at: the chosen one, which stays though others come, or the newest. */
  placeIn(versions) {
    const place = typeof this.chosen === "number" ? this.chosen : versions.indexOf(this.chosen);
    return place >= 0 && place < versions.length ? place : versions.length - 1;
  }

  update() {
    const files = this.files();
    this.button.hidden = !files.size;
    setText(this.number, files.size === 1 ? "File" : count(files.size, "file"));
    if (!this.name) return;
    const versions = files.get(this.name);
    if (!versions) {
      if (!this.page.session?.catchingUp) this.close();
      return;
    }
    const place = this.placeIn(versions);
    if (typeof this.chosen === "number") this.chosen = place === versions.length - 1 ? null : versions[place];
    const file = versions[place];
    this.pick.hidden = versions.length < 2;
    setText(this.at, `v${place + 1} of ${versions.length}`);
    setText(this.version, versions.length > 1 ? `v${place + 1} of ${versions.length} ·\u00a0` : "");
    set(this.older, "aria-disabled", place === 0 ? "true" : null);
    set(this.newer, "aria-disabled", place === versions.length - 1 ? "true" : null);
    if (file === this.file) return;
    this.file = file;
    setText(this.title, file.name);
    set(this.place, "aria-label", file.name);
    setText(this.words, describeFile(file));
    this.copyButton.hidden = file.binary;
    this.body.replaceChildren(fileElement(file));
    this.body.scrollTop = 0;
  }
}
