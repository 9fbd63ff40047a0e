// A thread that has not begun: what the assistant does, and how to begin.

import { h, icon, setText, state } from "../parts/dom.js";
import { limitsText } from "./files.js";

const TRIES = ["How do leases and heartbeats find a dead worker?", "What keeps a run from being executed twice?", "How does a shutdown lose nothing?"];

const capital = (text) => `${text[0].toUpperCase()}${text.slice(1)}`;

export class Empty {
  constructor(acts) {
    this.acts = acts;
    this.about = h("p", { dir: "auto" });
    this.slot = h("div");
    this.tries = h("div.tries");
    this.element = h("div.empty", {}, h("div", {}, h("h1", {}, "What should I look into?"), this.about, this.slot, h("div.opts", {}, h("span", {}, capital(limitsText())), h("span.no-phone", {}, h("kbd", {}, "?"), " shows the keys")), this.tries));
  }

  update({ assistant, waiting, loading }) {
    setText(this.about, assistant?.description ?? (assistant ? `Answered by ${assistant.name}.` : loading ? "\u00a0" : "There is no assistant yet: the site registers its graphs in its settings."));
    const questions = Array.isArray(assistant?.metadata?.questions) ? assistant.metadata.questions.filter((each) => typeof each === "string") : assistant?.graph_id === "agent" ? TRIES : [];
    this.tries.replaceChildren(
      ...(waiting ? [h("button.try", { type: "button", on: { click: () => this.acts.open(waiting.id) } }, icon("right", "i-s"), h("span.sp", { dir: "auto" }, `Go on with “${waiting.title}”, which waits for you`), state("ask", { quiet: true }))] : []),
      ...questions.slice(0, 3).map((text) => h("button.try", { type: "button", on: { click: () => this.acts.say(text) } }, icon("right", "i-s"), h("span.sp", { dir: "auto" }, text))),
    );
  }
}
