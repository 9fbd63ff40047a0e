// The waterfall's axis: time to place, with folded gaps and a window to zoom. Pure.

/** A gap is folded from this many milliseconds on, and from this share of the time in which something happens. */
const LEAST = 2000;
const SHARE = 0.15;
/** The width of a folded gap, as a share of the axis. */
const FOLDED = 0.05;

/**
 * Pieces of the axis: {from, to, folded, at, width}, in milliseconds and shares of the whole axis.
 *
 * @param spans Spans with `begin`, `end` and `kind`; waits and attempts do not count as something that happens.
 */
export function pieces(spans, now, fold = true) {
  const ends = spans.map((span) => span.end ?? now);
  const from = Math.min(...[now].concat(spans.length ? [spans.reduce((least, span) => Math.min(least, span.begin), Infinity)] : []));
  const to = Math.max(from + 1, ends.reduce((most, end) => Math.max(most, end), from));
  const busy = fold ? merged(spans.filter((span) => !["attempt", "queue", "wait"].includes(span.kind)).map((span) => [span.begin, Math.max(span.end ?? now, span.begin)])) : [[from, to]];
  const active = busy.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const least = Math.max(LEAST, active * SHARE);
  const found = [];
  let at = from;
  for (const [begin, end] of [...busy, [to, to]]) {
    if (begin - at > least) found.push({ from: at, to: begin, folded: true });
    else extend(found, at, begin);
    extend(found, Math.max(begin, at), end);
    at = Math.max(at, end);
  }
  const folds = found.filter((piece) => piece.folded).length;
  if (found.length === folds) found.forEach((piece) => (piece.folded = false));
  const open = found.filter((piece) => !piece.folded).reduce((sum, piece) => sum + piece.to - piece.from, 0);
  const rest = Math.max(0.2, 1 - FOLDED * found.filter((piece) => piece.folded).length);
  const fixed = (1 - rest) / Math.max(1, found.filter((piece) => piece.folded).length);
  let place = 0;
  for (const piece of found) {
    piece.at = place;
    piece.width = piece.folded ? fixed : open ? ((piece.to - piece.from) / open) * rest : rest;
    place += piece.width;
  }
  return found;
}

/** Add a time to the axis that is not folded: to its last piece, if that is not folded either. */
function extend(found, from, to) {
  if (to <= from) return;
  const last = found.at(-1);
  if (last && !last.folded) last.to = to;
  else found.push({ from, to, folded: false });
}

function merged(intervals) {
  const found = [];
  for (const [begin, end] of intervals.sort((one, other) => one[0] - other[0])) {
    const last = found.at(-1);
    if (last && begin <= last[1]) last[1] = Math.max(last[1], end);
    else found.push([begin, end]);
  }
  return found;
}

/** The place of a time on the axis, from 0 to 1. */
export function place(axis, time) {
  let low = 0;
  let high = axis.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (axis[middle].from <= time) low = middle;
    else high = middle - 1;
  }
  const piece = axis[low];
  if (!piece) return 0;
  const share = piece.to > piece.from ? (time - piece.from) / (piece.to - piece.from) : 0;
  return piece.at + Math.min(1, Math.max(0, share)) * piece.width;
}

/** Times for the axis' labels: round ones within each piece that is not folded. */
export function ticks(axis, [left, right], most = 6) {
  const start = axis[0]?.from ?? 0;
  const shown = axis.filter((piece) => !piece.folded && piece.at + piece.width > left && piece.at < right);
  const length = shown.reduce((sum, piece) => sum + ((piece.to - piece.from) * Math.min(1, right - left)) / 1, 0);
  const step = round(length / most);
  const found = [];
  for (const piece of shown) {
    for (let time = Math.ceil((piece.from - start) / step) * step; time <= piece.to - start; time += step) {
      const at = (place(axis, start + time) - left) / (right - left);
      if (at >= 0 && at < 0.97 && (!found.length || at - found.at(-1).at > 0.09)) found.push({ at, time });
    }
  }
  return found;
}

function round(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= value) ?? power;
}
