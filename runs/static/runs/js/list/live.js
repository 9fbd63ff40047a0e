// Rows follow what happens to their runs, in place: no row moves, and new runs are only counted until a person asks for them.

import { setText } from "../parts/dom.js";

/** Milliseconds between two requests; after failures, the longest pause. */
const PAUSE = 4000;
const LONGEST = 60_000;

export class Live {
  /** @param place The line above the list. @param table The list; null if it is empty. */
  constructor(place, table) {
    this.place = place;
    this.table = table;
    this.toggle = place.querySelector(".pause");
    this.newer = place.querySelector(".newer");
    this.said = place.querySelector(".said");
    this.wait = PAUSE;
    this.toggle.addEventListener("click", () => this.pause(this.toggle.getAttribute("aria-pressed") !== "true"));
    document.addEventListener("visibilitychange", () => this.later(0));
    this.newer.href = location.href;
    place.hidden = false;
    this.later();
  }

  /** The rows by the ids of their runs; the checkbox has the id. */
  get rows() {
    const boxes = [...(this.table?.querySelectorAll("tbody tr") ?? [])].map((row) => [/\/run\/([0-9a-f-]{36})\//.exec(row.querySelector(".field-short a")?.getAttribute("href"))?.[1], row]);
    return new Map(boxes.filter(([id]) => id));
  }

  get runs() {
    return !document.hidden && this.toggle.getAttribute("aria-pressed") !== "true";
  }

  pause(paused) {
    this.toggle.setAttribute("aria-pressed", paused);
    this.toggle.querySelector(".word").textContent = paused ? "Paused" : "Live";
    this.later(0);
  }

  later(wait = this.wait) {
    clearTimeout(this.timer);
    if (this.runs) this.timer = setTimeout(() => this.ask(), wait);
  }

  async ask() {
    const rows = this.rows;
    const query = new URLSearchParams(location.search);
    for (const id of rows.keys()) query.append("shown", id);
    try {
      const answer = await fetch(`${this.place.dataset.rows}?${query}`, { headers: { Accept: "application/json" } });
      if (!answer.ok || !answer.headers.get("content-type")?.startsWith("application/json")) throw new Error(`The server answered ${answer.status}.`);
      this.show(rows, await answer.json());
      this.wait = PAUSE;
      this.place.classList.remove("behind");
      setText(this.said, "");
    } catch {
      this.wait = Math.min(LONGEST, this.wait * 2);
      this.place.classList.add("behind");
      setText(this.said, "The server does not answer; these rows are older.");
    }
    this.later();
  }

  show(rows, { rows: cells, new: count, most }) {
    for (const [id, row] of rows) {
      if (cells[id] === undefined) row.classList.add("gone");
      else replace(row, cells[id]);
    }
    // The first page alone begins with the newest runs.
    const first = !new URLSearchParams(location.search).get("p");
    this.newer.hidden = !count || !first;
    const text = count >= most ? `${most} or more new runs` : count === 1 ? "1 new run" : `${count} new runs`;
    if (!this.newer.hidden && this.newer.textContent !== `Show ${text}`) this.newer.textContent = `Show ${text}`;
  }
}

/** Replace what has changed in a row; its checkbox and what has the focus stay. */
function replace(row, html) {
  const parsed = new DOMParser().parseFromString(`<table><tbody><tr>${html}</tr></tbody></table>`, "text/html");
  const fresh = [...parsed.querySelectorAll("tr > *")];
  const cells = [...row.children];
  if (fresh.length !== cells.length) return;
  for (const [place, cell] of cells.entries()) {
    if (cell.classList.contains("action-checkbox") || cell.contains(document.activeElement)) continue;
    if (cell.innerHTML === fresh[place].innerHTML) continue;
    const state = cell.classList.contains("field-state") && cell.textContent !== fresh[place].textContent;
    cell.replaceChildren(...fresh[place].childNodes);
    if (state) flash(row);
  }
}

function flash(row) {
  row.classList.remove("changed");
  requestAnimationFrame(() => row.classList.add("changed"));
}
