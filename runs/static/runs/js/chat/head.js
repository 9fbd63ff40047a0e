// The head of a thread: its title, its assistant, its run, and what can be done with it.

import { h, icon, iconButton, set, setText } from "../parts/dom.js";
import { askText, confirm, openMenu } from "../parts/menu.js";
import { count } from "../parts/words.js";
import { Refused } from "../protocol/api.js";
import { fromState } from "../protocol/messages.js";
import { download, fileName, toMarkdown } from "./export.js";
import { titleOf } from "./titles.js";

const $ = (id) => document.getElementById(id);

export class Head {
  constructor(page) {
    this.page = page;
    this.assistantWord = h("span", { dir: "auto" });
    this.assistantButton = h("button.b.b-q.no-phone", { type: "button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": "Assistant", hidden: true, on: { click: () => this.assistantMenu(this.assistantButton) } }, this.assistantWord, icon("down", "i-s"));
    this.runLink = h("a.b.b-q.no-phone", { hidden: true }, "Open run ", icon("out", "i-s"));
    this.moreButton = iconButton("more", "More about this thread", () => this.threadMenu(page.session?.thread ?? page.list.get(page.session?.id), this.moreButton), { "aria-haspopup": "menu", "aria-expanded": "false" });
    $("head-acts").append(page.panel.button, this.assistantButton, this.runLink, this.moreButton);
  }

  /** @param doing {running, asks}: what the thread's agent does. */
  update(doing) {
    const { page } = this;
    const { session } = page;
    const isGone = ["gone", "failed"].includes(session?.phase);
    const thread = session && !isGone ? (session.thread ?? page.list.get(session.id)) : null;
    const title = !session ? "New thread" : isGone ? "No thread" : thread ? titleOf({ ...page.list.get(session.id), ...thread }, session.model.values) : "Loading…";
    setText($("title"), title);
    document.title = session ? `${title} · Chat` : "Chat";
    setText($("subtitle"), !session ? "Nothing sent yet" : thread ? subtitleOf(session, doing) : "");
    $("subtitle").hidden = isGone;
    this.assistantButton.hidden = !page.assistants.list.length || isGone;
    // Where there is little room, a thread's menu has it; a thread that has not begun has no menu.
    this.assistantButton.classList.toggle("no-phone", Boolean(session));
    setText(this.assistantWord, page.assistant?.name ?? "No assistant");
    set(this.assistantButton, "aria-label", `Assistant: ${page.assistant?.name ?? "none"}`);
    const run = page.runAddress(session?.model.run?.id ?? session?.versions.branches.newest);
    this.runLink.hidden = !run;
    if (run) set(this.runLink, "href", run);
    // It keeps its room, so that its neighbours stay when a thread begins.
    this.moreButton.classList.toggle("away", !thread);
  }

  assistantMenu(anchor) {
    const { page } = this;
    const entries = page.assistants.list.map((assistant) => ({ label: assistant.name, hint: assistant.description ?? (assistant.name === assistant.graph_id ? null : assistant.graph_id), checked: assistant === page.assistant, act: () => {
      page.chosen = assistant;
      page.assistants.choose(assistant);
      if (page.session) page.acts.attempt(() => page.session.patch({ assistant_id: assistant.assistant_id, graph_id: assistant.graph_id }));
      else page.stage.showEmpty();
      page.render();
    } }));
    openMenu(anchor, [...entries, null, { label: "Settings…", glyph: "sliders", act: () => page.acts.settings() }]);
  }

  threadMenu(thread, anchor) {
    if (!thread) return;
    const { page } = this;
    const id = thread.thread_id;
    const { metadata = {} } = thread;
    // The page may show another thread before a dialog is answered.
    const session = page.session?.id === id ? page.session : null;
    const change = (changes) => page.acts.attempt(async () => {
      const changed = session ? (await session.patch(changes), session.thread) : await page.api.patch(`threads/${id}`, { metadata: changes });
      page.list.note({ thread_id: id, metadata: changed.metadata });
      page.tellOthers();
    });
    const title = titleOf({ ...page.list.get(id), ...thread }, session?.model.values);
    const phone = matchMedia("(max-width: 900px)").matches && anchor === this.moreButton;
    const run = !this.runLink.hidden && this.runLink.href;
    openMenu(anchor, [
      ...(phone ? [{ label: `Assistant: ${page.assistant?.name ?? "none"}`, glyph: "agent", act: () => this.assistantMenu(anchor) }, run ? { label: "Open run", glyph: "out", act: () => location.assign(run) } : null, page.panel.button.hidden ? null : { label: page.panel.button.textContent, glyph: "doc", act: () => page.panel.choose(anchor) }] : []).filter(Boolean),
      { label: "Rename…", glyph: "edit", act: async () => {
        const name = await askText("Rename the thread", "Title", title);
        if (name) change({ title: name, renamed: true });
      } },
      { label: metadata.pinned ? "Unpin" : "Pin", glyph: "pin", act: () => change({ pinned: !metadata.pinned }) },
      { label: metadata.archived ? "Take out of the archive" : "Archive", glyph: "archive", act: () => change({ archived: !metadata.archived }) },
      { label: "Export as Markdown", glyph: "dl", act: () => this.export(id, title, "md") },
      { label: "Export as JSON", glyph: "dl", act: () => this.export(id, title, "json") },
      null,
      { label: "Delete…", glyph: "trash", danger: true, act: async () => {
        if (!(await confirm("Delete this thread?", `“${title}”, with its runs and its state. This cannot be undone.`, "Delete"))) return;
        page.acts.attempt(() => this.delete(id, session));
      } },
    ]);
  }

  async delete(id, session) {
    const { page } = this;
    const isOpen = () => session && page.session === session;
    session?.close();
    try {
      await page.api.delete(`threads/${id}`);
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) {
        if (isOpen()) page.open(id);
        throw error;
      }
    }
    page.list.forget(id);
    page.tellOthers();
    if (isOpen()) page.go(null);
  }

  export(id, title, kind) {
    const { page } = this;
    page.acts.attempt(async () => {
      const state = await page.api.get(`threads/${id}/state`);
      if (kind === "json") download(fileName(title, "json"), JSON.stringify({ thread_id: id, title, ...state }, null, 2), "application/json");
      else download(fileName(title, "md"), toMarkdown(title, (state.values?.messages ?? []).map(fromState)), "text/markdown");
    });
  }
}

/** What an open thread is at, or how much it has. */
function subtitleOf({ model, phase, versions, outbox }, { running, asks }) {
  if (phase === "loading") return "Loading…";
  if (versions.view) return "An older version; the newest is another";
  if (running) return "Answering…";
  if (asks) return "Waits for you";
  const { messages } = model.root;
  const used = messages.reduce((sum, { usage }) => sum + (usage?.total_tokens ?? 0), 0);
  const said = messages.filter(({ role, blocks }) => role === "human" || (role === "ai" && blocks.some(({ type }) => type === "text"))).length;
  return used ? count(used, "token") : count(said + outbox.sent.length, "message");
}
