// All messages of the run's last state in one log, read once it is opened.

import { h, setText } from "../parts/dom.js";
import { count } from "../parts/words.js";
import { messageElement } from "./pane.js";

export class Transcript {
  constructor(data) {
    this.data = data;
    this.note = h("p.empty-note.quiet", { role: "status" });
    this.list = h("div.said.in-b", { tabindex: "0", role: "region", "aria-label": "Messages" });
    this.fold = h("details.transcript", { on: { toggle: () => this.read() } }, h("summary", {}, "Messages of the run\u2019s last state, with those of earlier runs of its thread"), this.note, this.list);
    this.element = h("section.mod", { "aria-labelledby": "said-title" }, h("h2", { id: "said-title" }, "Transcript"), this.fold);
  }

  /** Read again what is open, when the run stands otherwise. */
  update({ status }) {
    if (status === this.status) return;
    this.status = status;
    this.read();
  }

  async read() {
    if (!this.fold.open) return;
    try {
      const { messages, before } = await this.data.get("transcript");
      this.list.replaceChildren(...messages.map(messageElement));
      setText(this.note, before ? `${count(before, "earlier message")} not shown.` : messages.length ? "" : "The log of this run has no messages.");
    } catch (error) {
      setText(this.note, error.message);
    }
    this.note.hidden = !this.note.textContent;
  }
}
