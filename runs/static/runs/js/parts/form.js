// A form of a JSON schema, for what people can fill in: texts, numbers, choices, switches, and lists of these. What goes
// beyond is a field of JSON.

import { controlOf, fail, FieldError, typeOf } from "./fields.js";
import { h, icon, setText } from "./dom.js";
import { count } from "./words.js";

export { fail, FieldError };

/** Characters of a value from which on its field is folded, and those that are seen nevertheless. */
const LONG = 300;
const PEEK = 400;

let names = 0;

/** The schema that a list of alternatives means, if one of them can be filled in; null for the rest. */
function resolve(schema, root) {
  if (!schema || typeof schema !== "object") return {};
  if (typeof schema.$ref === "string") {
    const found = schema.$ref.split("/").slice(1).reduce((at, step) => at?.[step], root);
    return found ? resolve({ ...found, ...without(schema, "$ref") }, root) : {};
  }
  const options = schema.anyOf ?? schema.oneOf;
  if (options) {
    const real = options.filter((each) => each.type !== "null");
    if (real.every((each) => "const" in each)) return { ...schema, enum: real.map((each) => each.const) };
    if (real.length === 1) return { ...resolve(real[0], root), ...without(schema, "anyOf", "oneOf"), optional: true };
  }
  return schema;
}

function without(object, ...names) {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

/** Whether a schema is an object whose fields a form can show. */
export function isForm(schema) {
  const found = resolve(schema, schema);
  return found.type === "object" && Object.keys(found.properties ?? {}).length > 0;
}

/**
 * A form of an object's schema: {element, fields, read(), isTouched(), undo()}.
 *
 * `read` throws a FieldError, and then the field has the focus. A field that was given a value and still shows it is read as that
 * value, whatever its control could make of it.
 */
export function objectForm(schema, values = {}, { root = schema, legend } = {}) {
  const found = resolve(schema, root);
  const properties = found.properties ?? {};
  const required = new Set(found.required ?? []);
  const fields = Object.entries(properties).map(([name, each]) => ({ name, field: fieldOf(name, resolve(each, root), values?.[name], { root, required: required.has(name) }) }));
  const element = h("div.fields", { role: "group", "aria-label": legend ?? found.title ?? null }, fields.map(({ field }) => field.element));
  return {
    element,
    fields,
    read() {
      const result = { ...values };
      for (const { name, field } of fields) {
        const value = field.read();
        if (value === undefined) delete result[name];
        else result[name] = value;
      }
      return result;
    },
    isTouched: () => fields.some(({ field }) => field.isTouched()),
    undo: () => fields.forEach(({ field }) => field.undo()),
  };
}

/** A schema of an object that has these values; none of them has to stay. */
export function schemaOfValues(values) {
  return { type: "object", properties: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { ...schemaOf(value), default: value }])) };
}

/** What a value looks like, as a schema. */
function schemaOf(value) {
  if (typeof value === "boolean") return { type: "boolean" };
  if (typeof value === "number") return { type: "number" };
  if (typeof value === "string") return { type: "string" };
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return { type: "array", items: { type: "string" } };
  return {};
}

function fieldOf(name, schema, value, { root, required }) {
  const id = `field-${++names}`;
  const title = schema.title ?? name;
  const hint = schema.description ? h("p.hint", { id: `${id}-hint` }, schema.description) : null;
  const described = hint ? { "aria-describedby": `${id}-hint` } : {};
  const made = controlIn(schema, value === undefined ? schema.default : value, { id, described, root, required, name });
  const label = h("label", { for: id }, title, required || schema.default !== undefined ? null : h("span.hint", {}, " optional"));
  const was = made.textual && value !== undefined ? wasLine(made) : null;
  const element = made.group
    ? h("fieldset.f", {}, h("legend", {}, title), hint, made.element)
    : made.inline
      ? h("div.f.check", {}, made.element, label, hint)
      : made.textual && made.initial.length > LONG
        ? h("details.f.fold", {}, summaryOf(title, made.control), label, made.element, hint, was)
        : h("div.f", {}, label, made.element, hint, was);
  const read = () => (value !== undefined && !made.isTouched() ? value : made.read());
  return { element, read, isTouched: made.isTouched, undo: made.undo };
}

/** An object's own fields, or a control of one value. */
function controlIn(schema, value, { root, name, ...more }) {
  const isObject = value == null || (typeof value === "object" && !Array.isArray(value));
  if (typeOf(schema) !== "object" || !schema.properties || !isObject) return controlOf(schema, value, { items: resolve(schema.items, root), ...more });
  const { element, read, isTouched, undo } = objectForm(schema, value ?? {}, { root, legend: schema.title ?? name });
  return { element, group: true, read, isTouched, undo };
}

/** The line of a folded field, with the beginning of its text, because it is decided about without being opened. */
function summaryOf(title, control) {
  const [size, peek] = [h("span.quiet"), h("span.peek", { dir: "auto" })];
  const update = () => {
    setText(size, count(control.value.length, "character"));
    setText(peek, control.value.slice(0, PEEK).replace(/\n\s*\n/g, "\n"));
  };
  control.addEventListener("input", update);
  update();
  return h("summary.note", {}, h("b", {}, title), size, icon("right", "i-s turn-arrow"), peek);
}

/** A line below a control that tells what stood there, once something else does. */
function wasLine({ control, initial, isTouched }) {
  const line = h("p.hint.was", { hidden: true });
  control.addEventListener("input", () => {
    line.hidden = !isTouched();
    line.textContent = `Edited; was ${initial.length > 80 ? `${initial.slice(0, 79)}…` : initial || "empty"}`;
  });
  return line;
}
