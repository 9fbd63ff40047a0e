// The to-do list of a state, pinned above the thread: bars when it is closed, a list when it is open.

import { h, icon, setText, state } from "../parts/dom.js";
import { shorten } from "../parts/words.js";

const SHAPES = { completed: "done", in_progress: "running", pending: "queued" };

export class Plan {
  constructor(place) {
    this.place = place;
    this.bars = h("ol.bars", { "aria-hidden": "true" });
    this.now = h("span.now", { dir: "auto" });
    this.done = h("span.vh");
    this.list = h("ul.todos");
    this.element = h("details.plan-d", {}, h("summary.plan", {}, h("b", {}, "Plan"), this.done, this.bars, this.now, h("span.sp"), icon("down", "i-s")), this.list);
  }

  update(todos) {
    const listed = Array.isArray(todos) ? todos.filter((each) => typeof each?.content === "string") : [];
    const key = JSON.stringify(listed);
    if (key === this.key) return;
    this.key = key;
    if (!listed.length) {
      this.place.replaceChildren();
      return;
    }
    const done = listed.filter(({ status }) => status === "completed").length;
    const now = listed.find(({ status }) => status === "in_progress");
    this.bars.replaceChildren(...listed.map(({ status }) => h(`li${status === "completed" ? ".done" : status === "in_progress" ? ".doing" : ""}`)));
    setText(this.done, ` ${done} of ${listed.length} done. `);
    setText(this.now, now ? `Now: ${shorten(now.content, 70)}` : done === listed.length ? "All done" : "Not begun");
    this.list.replaceChildren(...listed.map((todo) => h("li", { dir: "auto" }, state(SHAPES[todo.status] ?? "queued", { quiet: true }), h("span", {}, todo.content))));
    if (!this.element.isConnected) this.place.replaceChildren(this.element);
  }
}
