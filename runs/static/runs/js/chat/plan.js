// The to-do list of a state, pinned above the thread: bars when it is closed, a list when it is open.

import { h, icon, setText, state } from "../parts/dom.js";
import { shorten } from "../parts/words.js";

/** What is said of the item at which the agent is or was, and its shape: "running", "ask" or "stopped". */
const WORDS = { running: "Now", ask: "Waits at", stopped: "Left at" };

export class Plan {
  constructor(place) {
    this.place = place;
    this.bars = h("ol.bars", { "aria-hidden": "true" });
    this.now = h("span.now", { dir: "auto" });
    this.done = h("span.vh");
    this.list = h("ul.todos");
    this.element = h("details.plan-d", {}, h("summary.plan", {}, h("b", {}, "Plan"), this.done, this.bars, this.now, h("span.sp"), icon("down", "i-s")), this.list);
  }

  /** @param doing What the agent does: "running", "ask" while a question waits, or "stopped". */
  update(todos, doing = "stopped") {
    const listed = Array.isArray(todos) ? todos.filter((each) => typeof each?.content === "string") : [];
    const key = JSON.stringify([listed, doing]);
    if (key === this.key) return;
    this.key = key;
    if (!listed.length) {
      this.place.replaceChildren();
      return;
    }
    const shapes = { completed: "done", in_progress: doing, pending: "queued" };
    const done = listed.filter(({ status }) => status === "completed").length;
    this.bars.replaceChildren(...listed.map(({ status }) => h(`li${status === "completed" ? ".done" : status === "in_progress" && doing === "running" ? ".doing" : ""}`)));
    setText(this.done, ` ${done} of ${listed.length} done. `);
    setText(this.now, wordsOf(listed, doing));
    this.list.replaceChildren(...listed.map((todo) => h("li", { dir: "auto" }, state(shapes[todo.status] ?? "queued", { quiet: true }), h("span", {}, todo.content))));
    if (!this.element.isConnected) this.place.replaceChildren(this.element);
  }
}

function wordsOf(listed, doing) {
  const first = (wanted) => listed.find(({ status }) => status === wanted);
  if (first("in_progress")) return `${WORDS[doing]}: ${shorten(first("in_progress").content, 70)}`;
  const next = listed.find(({ status }) => status !== "completed");
  if (!next) return "All done";
  return first("completed") ? `Next: ${shorten(next.content, 70)}` : "Not begun";
}
