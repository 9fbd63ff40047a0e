// What surrounds a thread: the drawer of threads, the theme, keys, files that are dropped, and other tabs.

import { set } from "../parts/dom.js";
import { openMenu } from "../parts/menu.js";
import * as texts from "./kept.js";
import { isField, listen, showKeys } from "./keys.js";
import * as contents from "./large.js";

const $ = (id) => document.getElementById(id);
/** Milliseconds between two looks at the list of threads. */
const LOOK = 15_000;
/** Where the list of threads is a drawer, and a file covers its thread. */
const NARROW = matchMedia("(max-width: 900px)");
const COARSE = matchMedia("(pointer: coarse)");

export class Shell {
  constructor(page) {
    this.page = page;
  }

  side(open) {
    document.body.classList.toggle("side-open", open);
    $("veil").hidden = !open;
    set($("open-side"), "aria-expanded", String(open));
    const left = !open && $("side").contains(document.activeElement);
    this.fit();
    // A field that has the focus brings a keyboard over the page where there is no other.
    if (open) $(COARSE.matches ? "close-side" : "find").focus();
    else if (left && NARROW.matches) $("open-side").focus();
  }

  /** Look for what stands in the search field. */
  find() {
    const { value } = $("find");
    $("clear-find").hidden = !value;
    this.page.list.find(value);
  }

  /** Show or hide the file beside the thread; where it covers the thread, that is out of reach meanwhile. */
  panel(open) {
    document.body.classList.toggle("with-panel", open);
    $("panel").hidden = !open;
    this.fit();
  }

  /** Put out of reach what is covered on a narrow page: by the file, or by the drawer. */
  fit() {
    const narrow = NARROW.matches;
    const drawer = document.body.classList.contains("side-open");
    $("main").inert = narrow && (drawer || !$("panel").hidden);
    $("panel").inert = narrow && drawer;
  }

  step(by) {
    const ids = [...document.querySelectorAll("[data-thread]")].map(({ dataset }) => dataset.thread);
    const next = ids[ids.indexOf(this.page.session?.id) + by];
    // The next key is for the list again.
    if (next) this.page.go(next, { focus: false });
  }

  theme() {
    const now = document.documentElement.dataset.theme;
    const choose = (theme) => {
      document.documentElement.dataset.theme = theme;
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Without storage it holds until the page is left.
      }
    };
    openMenu($("theme"), [["auto", "As the system"], ["light", "Light"], ["dark", "Dark"]].map(([name, label]) => ({ label, checked: now === name, act: () => choose(name) })));
  }

  listen() {
    const { page } = this;
    addEventListener("popstate", () => {
      const id = page.idOf(location.pathname);
      // The skip link changes the address too, but not the thread.
      if (id !== (page.session?.id ?? null)) page.open(id);
    });
    addEventListener("beforeunload", (event) => (texts.isHeld() || contents.isHeld()) && event.preventDefault());
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("[data-nav]");
      if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      page.go(null);
    });
    $("find").addEventListener("input", () => this.find());
    $("clear-find").addEventListener("click", () => {
      $("find").value = "";
      this.find();
      $("find").focus();
    });
    $("open-side").addEventListener("click", () => this.side(true));
    $("close-side").addEventListener("click", () => this.side(false));
    $("veil").addEventListener("click", () => this.side(false));
    $("theme").addEventListener("click", () => this.theme());
    $("show-keys").addEventListener("click", showKeys);
    $("show-archive").addEventListener("click", ({ target }) => {
      page.list.archived = !page.list.archived;
      set(target, "aria-pressed", String(page.list.archived));
      page.list.show();
      page.list.refresh();
    });
    page.others.addEventListener("message", ({ data }) => {
      page.list.refresh();
      if (data.thread && data.thread === page.session?.id) page.session.refresh();
    });
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && page.list.refresh());
    setInterval(() => document.visibilityState === "visible" && page.list.refresh(), LOOK);
    NARROW.addEventListener("change", () => this.fit());
    this.dropFiles();
    listen({
      search: () => (this.side(NARROW.matches), $("find").focus()),
      fresh: () => page.go(null),
      next: () => this.step(1),
      previous: () => this.step(-1),
      write: () => page.composer.focus(),
      newest: () => page.stage.log?.toEnd({ smooth: true }),
      escape: (event) => this.escape(event),
    });
  }

  escape({ target }) {
    const { page } = this;
    const elsewhere = isField(target) && !$("composer").contains(target);
    if (document.body.classList.contains("side-open")) this.side(false);
    else if (page.panel.isOpen && $("panel").contains(document.activeElement)) page.panel.close();
    else if (elsewhere) target.blur();
    else if (page.session?.model.active) page.acts.stop();
  }

  dropFiles() {
    const { page } = this;
    const main = $("main");
    const drops = (event) => event.dataTransfer?.types.includes("Files");
    // A file that is let go of beside the thread would take the page's place.
    for (const type of ["dragover", "drop"]) document.addEventListener(type, (event) => drops(event) && event.preventDefault());
    main.addEventListener("dragover", (event) => {
      if (!drops(event)) return;
      main.classList.add("dropping");
    });
    main.addEventListener("dragleave", (event) => !main.contains(event.relatedTarget) && main.classList.remove("dropping"));
    main.addEventListener("drop", (event) => {
      main.classList.remove("dropping");
      if (!drops(event)) return;
      page.composer.add(event.dataTransfer.files);
    });
  }
}
