// The controls of a form, one for each kind of value. A control that cannot show a value as it is leaves it to a field of JSON.

import { h, set } from "./dom.js";

/** A field that cannot be read as it is: it says so below itself, and has the focus. */
export class FieldError extends Error {}

const isNothing = (value) => value === null || value === undefined;

/** The type that a schema allows, beside null. */
export const typeOf = ({ type }) => (Array.isArray(type) ? type.find((each) => each !== "null") : type);

/** Whether a text can be a line of its own, and comes back from it as it was. */
const isLine = (each) => typeof each === "string" && each !== "" && each === each.trim() && !/[\r\n]/.test(each);

/**
 * The control of a value: {element, control, initial, textual, inline, read(), isTouched(), undo()}.
 *
 * `initial` is the text of the value; it is shown beside the control, too, if that is `textual`. `isTouched` compares what the control shows with what it showed first, and so does not depend
 * on what can be read from it.
 */
export function controlOf(schema, value, { items, ...more }) {
  const made = kindOf(schema, value, items)(schema, value, more);
  const shown = () => (made.control.type === "checkbox" ? made.control.checked : made.control.value);
  const first = shown();
  const undo = () => {
    made.control[made.control.type === "checkbox" ? "checked" : "value"] = first;
    made.control.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return { element: made.control, ...made, isTouched: () => shown() !== first, undo };
}

function kindOf(schema, value, items) {
  if (Array.isArray(schema.enum)) return choice;
  switch (typeOf(schema)) {
    case "boolean":
      return isNothing(value) || typeof value === "boolean" ? box : json;
    case "integer":
    case "number":
      return isNothing(value) || Number.isFinite(value) ? number : json;
    case "string":
      return isNothing(value) || typeof value === "string" ? text : json;
    case "array":
      return items.type === "string" && !items.enum && (isNothing(value) || (Array.isArray(value) && value.every(isLine))) ? lines : json;
    default:
      return json;
  }
}

function box(schema, value, { id, described }) {
  const control = h("input", { type: "checkbox", id, ...described });
  control.checked = Boolean(value);
  return { control, inline: true, read: () => control.checked };
}

function number(schema, value, { id, described, required }) {
  const control = h("input.in", { type: "number", id, step: schema.type === "integer" ? 1 : "any", min: schema.minimum, max: schema.maximum, required, value: value ?? "", ...described });
  const read = () => {
    if (!control.checkValidity()) fail(control, control.validationMessage);
    return control.value === "" ? undefined : Number(control.value);
  };
  return { control, textual: true, initial: String(value ?? ""), read };
}

const KINDS = { date: "date", email: "email", uri: "url", password: "password" };

/** Characters that a line of a narrow screen shows. */
const LINE = 30;

/** Rows for a text: one for a line that only a narrow screen breaks, three and more for what goes on. */
function rowsOf(text) {
  const rows = text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 70)), 0);
  return String(text && text.length <= 140 && rows < 3 ? rows : Math.min(12, Math.max(3, rows)));
}

function text(schema, value, { id, described, required }) {
  const initial = value ?? "";
  const strict = schema.format in KINDS || schema.pattern !== undefined;
  const secret = schema.format === "password";
  const long = !secret && ((initial.length > LINE && !strict) || initial.length > 60 || /[\r\n]/.test(initial) || (schema.maxLength ?? 0) > 200);
  const control = long
    ? h("textarea.in", { id, rows: rowsOf(initial), required, maxlength: schema.maxLength, value: initial, dir: "auto", ...described })
    : h(`input.in${initial.length > LINE ? ".long" : ""}`, { id, type: KINDS[schema.format] ?? "text", required, maxlength: schema.maxLength, pattern: schema.pattern, value: initial, dir: "auto", ...described });
  if (!long && !secret && control.value !== initial) Object.assign(control, { type: "text", value: initial });
  // A text area has no returns of a carriage.
  const returns = /\r\n/.test(initial) && !/(^|[^\r])\n/.test(initial);
  const read = () => {
    if (!control.checkValidity()) fail(control, control.validationMessage);
    if (control.value === "" && !required && initial === "") return undefined;
    return returns ? control.value.replaceAll("\n", "\r\n") : control.value;
  };
  return { control, textual: !secret, initial, read };
}

function choice({ enum: options }, value, { id, described, required }) {
  const control = h("select.in", { id, required, ...described }, required && value !== undefined ? null : h("option", { value: "" }, "–"), options.map((each, place) => h("option", { value: String(place) }, String(each))));
  const place = options.indexOf(value);
  control.value = place < 0 ? "" : String(place);
  const read = () => {
    if (!control.checkValidity()) fail(control, "Choose one.");
    return control.value === "" ? undefined : options[Number(control.value)];
  };
  return { control, read };
}

function lines(schema, value, { id, described }) {
  const initial = (value ?? []).join("\n");
  const control = h("textarea.in", { id, rows: "3", value: initial, placeholder: "One a line", dir: "auto", ...described });
  return { control, textual: true, initial, read: () => control.value.split("\n").map((each) => each.trim()).filter(Boolean) };
}

function json(schema, value, { id, described, required }) {
  const initial = value === undefined ? "" : JSON.stringify(value, null, 2);
  const control = h("textarea.in.mono", { id, rows: String(Math.min(12, Math.max(value === null ? 1 : 3, initial.split("\n").length))), value: initial, spellcheck: "false", ...described });
  const read = () => {
    if (!control.value.trim()) return required ? fail(control, "This field is needed, as JSON.") : undefined;
    try {
      return JSON.parse(control.value);
    } catch (error) {
      return fail(control, `This is no JSON: ${error.message}`);
    }
  };
  return { control, textual: true, initial, read };
}

/** Say below a control what is wrong with its value, until it changes. Throws a FieldError. */
export function fail(control, message) {
  const id = `${control.id}-problem`;
  document.getElementById(id)?.remove();
  const line = h("p.problem-line", { id, role: "alert" }, message);
  control.after(line);
  if (!control.hasAttribute("aria-invalid")) mark(control, line.id);
  // In a fold that is closed it could not have the focus.
  for (let fold = control.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  control.focus();
  throw new FieldError(message);
}

function mark(control, id) {
  const described = control.getAttribute("aria-describedby");
  set(control, "aria-invalid", "true");
  set(control, "aria-describedby", described ? `${id} ${described}` : id);
  const unmark = () => {
    document.getElementById(id)?.remove();
    set(control, "aria-invalid", null);
    set(control, "aria-describedby", described);
  };
  control.addEventListener("input", unmark, { once: true });
}
