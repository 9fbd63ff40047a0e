// Durations of the newest runs over time, as points on a logarithmic scale; each leads to its run.

import { h } from "../parts/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 960, HEIGHT = 220, LEFT = 56, RIGHT = 12, TOP = 10, BOTTOM = 24;
/** The scale's least duration in seconds: a millisecond. */
const LEAST = 0.001;
const STEPS = [[0.001, "1 ms"], [0.01, "10 ms"], [0.1, "0.1 s"], [1, "1 s"], [10, "10 s"], [60, "1 min"], [600, "10 min"], [3600, "1 h"], [36_000, "10 h"]];
const SHAPES = { success: "ok", error: "err", timeout: "err", interrupted: "idle" };

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export class Durations {
  constructor(place) {
    this.place = place;
    this.plot = place.querySelector(".plot");
    place.addEventListener("toggle", () => place.open && this.load());
  }

  async load() {
    this.plot.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${this.place.dataset.points}${location.search}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
      const { points, most } = await answer.json();
      this.plot.replaceChildren(...(points.length ? [draw(points), legend(points, most)] : [h("p", {}, "None of these runs has ended.")]));
    } catch (error) {
      this.plot.replaceChildren(h("p", {}, `The durations cannot be shown. ${error.message}`));
    }
    this.plot.removeAttribute("aria-busy");
  }
}

/** The places of points in the picture, by their times and durations. */
export function placed(points) {
  const times = points.map(({ at }) => at);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const longest = Math.max(1, ...points.map(({ seconds }) => seconds));
  const span = Math.log10(longest / LEAST);
  const height = HEIGHT - TOP - BOTTOM;
  const y = (seconds) => TOP + height - (Math.log10(Math.max(LEAST, seconds) / LEAST) / span) * height;
  const x = (at) => LEFT + (last === first ? 0.5 : (at - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  return { x, y, first, last, longest };
}

function draw(points) {
  const { x, y, first, last, longest } = placed(points);
  const shown = STEPS.filter(([seconds]) => seconds <= longest * 1.01);
  const lines = shown.map(([seconds, text]) => s("g", {}, s("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(seconds), y2: y(seconds) }), label(text, LEFT - 6, y(seconds) + 3.5, "end")));
  const moment = (at) => new Date(at).toLocaleString([], { dateStyle: "short", timeStyle: last - first < 600_000 ? "medium" : "short" });
  const ends = [label(moment(first), LEFT, HEIGHT - 6, "start"), label(moment(last), WIDTH - RIGHT, HEIGHT - 6, "end")];
  const marks = points.map((point, place) => {
    const name = `${point.status}, ${spoken(point.seconds)}, ${moment(point.at)}`;
    const link = s("a", { href: point.url, class: SHAPES[point.status] ?? "idle", tabindex: place === points.length - 1 ? "0" : "-1", "aria-label": name }, s("title", {}, name), mark(point, x(point.at), y(point.seconds)));
    return link;
  });
  const picture = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": `Durations of ${points.length} runs; arrow keys go from run to run` }, ...lines, ...ends, ...marks);
  picture.addEventListener("keydown", (event) => step(marks, event));
  return picture;
}

/** A failed run is a square, so that its colour is not all that tells it. */
function mark({ status }, x, y) {
  return SHAPES[status] === "err" ? s("rect", { x: x - 4, y: y - 4, width: 8, height: 8 }) : s("circle", { cx: x, cy: y, r: 3.5 });
}

function step(marks, event) {
  const by = { ArrowRight: 1, ArrowLeft: -1, Home: -marks.length, End: marks.length }[event.key];
  const place = marks.indexOf(document.activeElement);
  if (!by || place < 0) return;
  event.preventDefault();
  const next = marks[Math.min(marks.length - 1, Math.max(0, place + by))];
  marks[place].setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

function label(text, x, y, anchor) {
  return s("text", { x, y, "text-anchor": anchor }, text);
}

export function spoken(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Math.round(seconds * 10) / 10} s`;
  return seconds < 3600 ? `${Math.round(seconds / 6) / 10} min` : `${Math.round(seconds / 360) / 10} h`;
}

function legend(points, most) {
  const sorted = points.map(({ seconds }) => seconds).sort((a, b) => a - b);
  const at = (share) => spoken(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]);
  const failed = points.filter(({ status }) => SHAPES[status] === "err").length;
  const which = points.length < most ? `${points.length} ended runs of this list` : `The newest ${most} ended runs of this list`;
  return h("p", {}, `${which}: half took at most ${at(0.5)}, 95 % at most ${at(0.95)}; ${failed} failed (squares).`);
}
