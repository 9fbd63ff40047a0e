// Which assistant answers, remembered for each thread, and the form of its context.

import { button, h } from "../parts/dom.js";
import { FieldError, isForm, objectForm } from "../parts/form.js";
import { openDialog } from "../parts/menu.js";

export class Assistants {
  constructor(api) {
    this.api = api;
    this.list = [];
    this.isLoaded = false;
    this.schemas = new Map();
  }

  async load() {
    this.list = await this.api.post("assistants/search", { limit: 100, sort_by: "name", sort_order: "asc" });
    this.isLoaded = true;
    return this.list;
  }

  /** The one that a thread has had, or the last one that was chosen, or the first. */
  of(thread) {
    const { assistant_id: id, graph_id: graph } = thread?.metadata ?? {};
    const chosen = read("chat-assistant");
    return this.get(id) ?? this.list.find((each) => each.graph_id === graph) ?? (thread ? undefined : this.get(chosen)) ?? this.list.find(({ graph_id: each }) => each === "agent") ?? this.list[0];
  }

  get(id) {
    return this.list.find((each) => each.assistant_id === id);
  }

  choose(assistant) {
    try {
      localStorage.setItem("chat-assistant", assistant.assistant_id);
    } catch {
      // Without storage it holds for this thread alone.
    }
  }

  /** The schema of an assistant's context, if it is one that a form can show. */
  async contextSchema(assistant) {
    const id = assistant.assistant_id;
    if (!this.schemas.has(id)) {
      const { context_schema: context, config_schema: config } = await this.api.get(`assistants/${id}/schemas`);
      this.schemas.set(id, [context, config].find(isForm) ?? null);
    }
    return this.schemas.get(id);
  }

  /** Ask for an assistant's context; resolves with it, or with undefined if nothing is to change. */
  async askContext(assistant, values) {
    const schema = await this.contextSchema(assistant);
    return new Promise((resolve) => {
      let answer;
      const dialog = openDialog(`Settings of ${assistant.name}`, (close) => {
        if (!schema) return h("p", {}, "This assistant has no settings.");
        const form = objectForm(schema, { ...(assistant.context ?? {}), ...values });
        const done = (event) => {
          event.preventDefault();
          try {
            answer = form.read();
            close();
          } catch (error) {
            if (!(error instanceof FieldError)) throw error;
          }
        };
        return h("form", { novalidate: true, on: { submit: done } }, h("p.quiet", {}, "For what you send from now on in this thread."), form.element, h("div.row.end", {}, button("Cancel", close), h("button.b.b-p", {}, "Use these")));
      });
      dialog.addEventListener("close", () => resolve(answer));
    });
  }
}

function read(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
