// A person's message in the log: what was said, whether it was sent, its versions, and the form in which it is edited.

import { button, composes, copy, h, icon, iconButton, set, setText } from "../parts/dom.js";
import { blockElement, textFile } from "../parts/blocks.js";
import { blockOf, textOf } from "../protocol/messages.js";
import { partsOf, piecesOf } from "./files.js";

const STATUS = { sending: () => "Sending…", unsent: ({ unkept }) => `Sent when the connection is back.${unkept ? " Too large to be kept over a reload." : ""}`, refused: ({ why }) => `Not sent: ${why}` };

/** Previous and next version of a person's message. */
function picker(acts) {
  const number = h("span.num");
  const earlier = iconButton("left", "Previous version", () => acts.version(-1));
  const later = iconButton("right", "Next version", () => acts.version(1));
  const element = h("span.pick", { role: "group", "aria-label": "Versions of this message" }, earlier, number, later);
  return {
    element,
    update(versions) {
      element.hidden = !versions || versions.total < 2;
      if (element.hidden) return;
      setText(number, `${versions.place} / ${versions.total}`);
      for (const [each, off] of [[earlier, versions.place === 1], [later, versions.place === versions.total]]) {
        if (off) each.setAttribute("aria-disabled", "true");
        else each.removeAttribute("aria-disabled");
      }
    },
  };
}

/** What a person wrote, or a file that came with it. */
function pieceElement(piece) {
  if (typeof piece === "string") return piece ? [h("p", { dir: "auto" }, piece)] : [];
  return piece.told === undefined ? blockOf(piece.block).map(blockElement) : [textFile(piece)];
}

export class HumanView {
  /** @param acts What can be done with it; `edit(entry, text, isWanted)` rejects with why a version could not be made. */
  constructor(acts) {
    this.acts = acts;
    this.bubble = h("div.bubble", { dir: "auto" });
    this.pick = picker({ version: (step) => acts.version(this.entry, step) });
    this.editButton = iconButton("edit", "Edit", () => this.edit());
    this.status = h("span.sending", { role: "status" });
    this.retryButton = button("Retry", () => acts.retry(this.entry.message), { kind: "b-q", glyph: "retry" });
    this.removeButton = button("Remove", () => acts.withdraw(this.entry.message), { kind: "b-q", glyph: "x" });
    this.bar = h("div.acts", {}, this.status, this.retryButton, this.removeButton, this.pick.element, this.editButton, (this.copyButton = iconButton("copy", "Copy", () => copy(textOf(this.entry.message), this.copyButton))));
    this.element = h("article.me", {}, h("h2.vh", {}, "You"), this.bubble, this.bar);
  }

  update(entry) {
    const before = this.entry;
    this.entry = entry;
    const { message } = entry;
    const status = STATUS[message.state]?.(message) ?? "";
    if (before?.message === message && before.versions === entry.versions && before.editable === entry.editable && this.status.textContent === status) return;
    const shown = message.content ?? message.blocks;
    if (JSON.stringify(this.shown) !== JSON.stringify(shown)) {
      this.shown = shown;
      this.bubble.replaceChildren(...piecesOf(shown).flatMap(pieceElement));
    }
    this.pick.update(entry.versions);
    const isRefused = message.state === "refused";
    // It keeps its room, so that nothing moves when a run begins or ends.
    this.editButton.classList.toggle("away", !entry.editable && !isRefused);
    this.element.classList.toggle("refused", isRefused);
    this.retryButton.hidden = this.removeButton.hidden = !isRefused && message.state !== "unsent";
    setText(this.status, status);
  }

  edit() {
    if (this.form) return this.form.querySelector("textarea").focus();
    const { text, files } = partsOf(this.shown);
    const area = h("textarea.in", { "aria-label": "The message as it should be", rows: "3", value: text, dir: "auto" });
    const kept = files.length ? h("p.note", { dir: "auto" }, icon("clip", "i-s"), `With ${files.map(({ name }) => name).join(", ")}`) : null;
    const problem = h("p.problem-line", { role: "alert", hidden: true });
    const send = (event) => {
      event.preventDefault();
      this.sendEdit(area, problem, files.length > 0);
    };
    const keys = (event) => {
      if (composes(event)) return;
      if (event.key === "Escape") {
        event.stopPropagation();
        this.closeEdit();
      } else if (event.key === "Enter" && !event.shiftKey) send(event);
    };
    area.addEventListener("keydown", keys);
    const about = this.entry.message.state === "refused" ? "Sent in its place." : "Sent as a new version; this one stays.";
    this.form = h("form.edit", { on: { submit: send } }, area, kept, problem, h("div.row", {}, h("span.quiet.sp", {}, about), button("Cancel", () => this.closeEdit()), h("button.b.b-p", {}, "Send again")));
    this.bubble.hidden = this.bar.hidden = true;
    this.bubble.after(this.form);
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }

  /** What was written stays in the form until it is on its way; a form that is closed before that sends nothing. */
  async sendEdit(area, problem, hasFiles) {
    const text = area.value.trim();
    if (!(text || hasFiles) || area.readOnly) return;
    const { form } = this;
    const isWanted = () => this.form === form;
    area.readOnly = true;
    set(form, "aria-busy", "true");
    problem.hidden = true;
    try {
      await this.acts.edit(this.entry, text, isWanted);
      if (isWanted()) this.closeEdit();
    } catch (error) {
      if (!isWanted()) return;
      area.readOnly = false;
      set(form, "aria-busy", null);
      setText(problem, `Not sent: ${error.message}`);
      problem.hidden = false;
      area.focus();
    }
  }

  closeEdit() {
    const hadFocus = this.form.contains(document.activeElement);
    this.form.remove();
    this.form = null;
    this.bubble.hidden = this.bar.hidden = false;
    if (hadFocus) this.editButton.focus();
  }
}
