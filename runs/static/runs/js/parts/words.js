// Times, sizes and such, as people read them.

export function seconds(milliseconds) {
  const value = Math.max(0, milliseconds) / 1000;
  if (value < 0.95) return `${value.toFixed(1)} s`;
  if (value < 59.5) return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} s`;
  const minutes = Math.round(value / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.round(minutes / 6) / 10} h`;
}

/** How long something took, where that is worth a word. */
export const lasted = (milliseconds) => (milliseconds >= 100 ? seconds(milliseconds) : "");

const digits = new Intl.NumberFormat("en");

export const count = (number, one, many = `${one}s`) => `${digits.format(number)} ${number === 1 ? one : many}`;

export function bytes(number) {
  return number < 1e6 ? `${Math.max(1, Math.round(number / 1e3))} kB` : `${(number / 1e6).toFixed(1)} MB`;
}

/** A text in one line, cut at a word. */
export function shorten(text, most = 80) {
  const line = String(text).replace(/\s+/g, " ").trim();
  if (line.length <= most) return line;
  const cut = line.slice(0, most - 1);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), most / 2))}…`;
}

/** Under which heading a day stands in a list, counted from today. */
export function dayOf(time, now = new Date()) {
  const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((midnight(now) - midnight(new Date(time))) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return "This week";
  if (days < 14) return "Last week";
  return new Date(time).toLocaleDateString("en", { month: "long", year: "numeric" });
}
