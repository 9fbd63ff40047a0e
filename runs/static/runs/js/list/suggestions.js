// A list below the search box with completions of its last word. The focus stays in the box, as in any combobox.

import { composes, h } from "../parts/dom.js";

/** Milliseconds without a key before the server is asked. */
const PAUSE = 120;
/** The last word: no space, or in quotes, also without the closing one. */
const LAST = /(?:[^\s"]|"[^"]*"?)*$/;

export class Suggestions {
  constructor(input, address) {
    this.input = input;
    this.address = address;
    this.active = -1;
    this.options = [];
    this.values = new WeakMap();
    this.list = h("ul.suggestions", { role: "listbox", id: "suggestions", "aria-label": "Suggestions", hidden: true });
    input.parentElement.classList.add("suggested");
    input.parentElement.append(this.list);
    for (const [name, value] of Object.entries({ role: "combobox", "aria-label": "Search runs", autocomplete: "off", spellcheck: "false", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "suggestions" })) input.setAttribute(name, value);
    input.addEventListener("input", () => this.later());
    input.addEventListener("blur", () => this.close());
    input.addEventListener("keydown", (event) => this.key(event));
  }

  get word() {
    return LAST.exec(this.input.value)[0];
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), PAUSE);
  }

  /** Ask for completions; an answer that is no longer asked for is dropped. */
  async look() {
    this.request?.abort();
    const { input, word } = this;
    if (input.selectionStart !== input.value.length) return this.close();
    this.request = new AbortController();
    try {
      const answer = await fetch(`${this.address}?word=${encodeURIComponent(word)}`, { signal: this.request.signal });
      const { suggestions } = answer.ok ? await answer.json() : { suggestions: [] };
      if (this.word === word && document.activeElement === input) this.show(suggestions.filter(({ value }) => value !== word));
    } catch (error) {
      if (error.name !== "AbortError") this.close();
    }
  }

  show(suggestions) {
    if (!suggestions.length) return this.close();
    this.options = suggestions.map(({ value, label }, place) => {
      const option = h("li", { role: "option", id: `suggestion-${place}`, "aria-selected": "false" }, h("b", { dir: "auto" }, value), label && h("span", { dir: "auto" }, label));
      // The box keeps the focus.
      option.addEventListener("pointerdown", (event) => event.preventDefault());
      option.addEventListener("click", () => this.take(value));
      this.values.set(option, value);
      return option;
    });
    this.list.replaceChildren(...this.options);
    this.list.style.left = `${this.input.offsetLeft}px`;
    this.list.style.top = `${this.input.offsetTop + this.input.offsetHeight + 2}px`;
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.point(-1);
  }

  close() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.list.hidden = true;
    this.options = [];
    this.input.setAttribute("aria-expanded", "false");
    this.point(-1);
  }

  point(place) {
    this.active = place;
    this.options.forEach((option, at) => option.setAttribute("aria-selected", String(at === place)));
    if (place < 0) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", this.options[place].id);
    this.options[place].scrollIntoView({ block: "nearest" });
  }

  /** Put a completion in the place of the last word; after a qualifier its values come. */
  take(value) {
    const { input } = this;
    const begun = /[:.]$/.test(value);
    input.value = input.value.slice(0, input.value.length - this.word.length) + value + (begun ? "" : " ");
    this.close();
    if (begun) this.look();
  }

  key(event) {
    if (composes(event)) return;
    const { length } = this.options;
    if (event.key === "ArrowDown" && !length) this.look();
    else if (event.key === "ArrowDown") this.point((this.active + 1) % length);
    else if (event.key === "ArrowUp" && length) this.point((this.active <= 0 ? length : this.active) - 1);
    else if (event.key === "Escape" && length) this.close();
    else if (event.key === "Enter" && this.active >= 0) this.take(this.values.get(this.options[this.active]));
    else return;
    event.preventDefault();
  }
}
