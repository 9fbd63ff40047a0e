// A form of a JSON schema, for what people can fill in: texts, numbers, choices, switches, and lists of these. What goes
// beyond is a field of JSON.

import { h, icon } from "./dom.js";

/** Characters of a value from which on its field is folded. */
const LONG = 300;

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

/** A form of an object's schema, or of its values alone: {element, read(), fields}. `read` throws a FieldError. */
export function objectForm(schema, values = {}, { root = schema, legend } = {}) {
  const found = resolve(schema, root);
  const properties = found.properties ?? Object.fromEntries(Object.entries(values).map(([name, value]) => [name, schemaOf(value)]));
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
  };
}

/** What a value looks like, as a schema. */
export function schemaOf(value) {
  if (typeof value === "boolean") return { type: "boolean" };
  if (typeof value === "number") return { type: "number" };
  if (typeof value === "string") return { type: "string" };
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return { type: "array", items: { type: "string" } };
  return {};
}

/** A field that cannot be read as it is; it has the focus then. */
export class FieldError extends Error {}

function fieldOf(name, schema, value, { root, required }) {
  const id = `field-${++names}`;
  const start = value ?? schema.default;
  const label = (target = id) => h("label", { for: target }, schema.title ?? name, required || schema.default !== undefined ? null : h("span.hint", {}, " optional"));
  const hint = schema.description ? h("p.hint", { id: `${id}-hint` }, schema.description) : null;
  const described = hint ? { "aria-describedby": `${id}-hint` } : {};
  const made = control(schema, start, { id, described, root, required, name });
  const was = made.textual && value !== undefined ? h("p.hint.was", { hidden: true }) : null;
  if (was) {
    made.control.addEventListener("input", () => {
      was.hidden = made.control.value === made.initial;
      was.textContent = `Edited; was ${made.initial.length > 80 ? `${made.initial.slice(0, 79)}…` : made.initial || "empty"}`;
    });
  }
  // What is long has most likely been read above already.
  const folded = made.textual && String(value ?? "").length > LONG;
  const element = folded ? h("details.f.fold", {}, h("summary.note", {}, h("b", {}, schema.title ?? name), h("span.quiet", {}, `${String(value).length.toLocaleString("en")} characters`), icon("right", "i-s turn-arrow")), label(), hint, made.element, was) : made.group ? h("fieldset.f", {}, h("legend", {}, schema.title ?? name), hint, made.element) : made.inline ? h("div.f.check", {}, made.element, label(), hint) : h("div.f", {}, label(), hint, made.element, was);
  return { element, read: made.read };
}

function control(schema, value, { id, described, root, required, name }) {
  if (Array.isArray(schema.enum)) return choice(schema.enum, value, { id, described, required });
  switch (Array.isArray(schema.type) ? schema.type.find((each) => each !== "null") : schema.type) {
    case "boolean": {
      const box = h("input", { type: "checkbox", id, ...described });
      box.checked = Boolean(value);
      return { element: box, control: box, inline: true, read: () => box.checked };
    }
    case "integer":
    case "number": {
      const input = h("input.in", { type: "number", id, step: schema.type === "integer" ? 1 : "any", min: schema.minimum, max: schema.maximum, required, value: value ?? "", ...described });
      const read = () => {
        if (!input.checkValidity()) fail(input, input.validationMessage);
        return input.value === "" ? undefined : Number(input.value);
      };
      return { element: input, control: input, textual: true, initial: String(value ?? ""), read };
    }
    case "string":
      return text(schema, value, { id, described, required });
    case "object":
      if (schema.properties) {
        const form = objectForm(schema, value ?? {}, { root, legend: schema.title ?? name });
        return { element: form.element, group: true, read: form.read };
      }
      break;
    case "array":
      if (resolve(schema.items, root).type === "string" && !schema.items.enum) return lines(value, { id, described });
  }
  return json(value, { id, described, required });
}

function text(schema, value, { id, described, required }) {
  const initial = value == null ? "" : String(value);
  const long = initial.length > 60 || initial.includes("\n") || (schema.maxLength ?? 0) > 200;
  const kinds = { date: "date", email: "email", uri: "url", password: "password" };
  const input = long
    ? h("textarea.in", { id, rows: String(Math.min(12, Math.max(3, Math.ceil(initial.length / 70) + initial.split("\n").length - 1))), required, maxlength: schema.maxLength, value: initial, dir: "auto", ...described })
    : h("input.in", { id, type: kinds[schema.format] ?? "text", required, maxlength: schema.maxLength, pattern: schema.pattern, value: initial, dir: "auto", ...described });
  const read = () => {
    if (!input.checkValidity()) fail(input, input.validationMessage);
    return input.value === "" && !required && initial === "" ? undefined : input.value;
  };
  return { element: input, control: input, textual: true, initial, read };
}

function choice(options, value, { id, described, required }) {
  const select = h("select.in", { id, required, ...described }, required && value !== undefined ? null : h("option", { value: "" }, "–"), options.map((each, place) => h("option", { value: String(place) }, String(each))));
  const place = options.indexOf(value);
  select.value = place < 0 ? "" : String(place);
  const read = () => {
    if (!select.checkValidity()) fail(select, "Choose one.");
    return select.value === "" ? undefined : options[Number(select.value)];
  };
  return { element: select, control: select, read };
}

function lines(value, { id, described }) {
  const initial = (value ?? []).join("\n");
  const area = h("textarea.in", { id, rows: "3", value: initial, placeholder: "One a line", dir: "auto", ...described });
  return { element: area, control: area, textual: true, initial, read: () => area.value.split("\n").map((each) => each.trim()).filter(Boolean) };
}

function json(value, { id, described, required }) {
  const initial = value === undefined ? "" : JSON.stringify(value, null, 2);
  const area = h("textarea.in.mono", { id, rows: String(Math.min(12, Math.max(3, initial.split("\n").length))), value: initial, spellcheck: "false", ...described });
  const read = () => {
    if (!area.value.trim()) return required ? fail(area, "This field is needed, as JSON.") : undefined;
    try {
      return JSON.parse(area.value);
    } catch (error) {
      return fail(area, `This is no JSON: ${error.message}`);
    }
  };
  return { element: area, control: area, textual: true, initial, read };
}

function fail(input, message) {
  input.setAttribute("aria-invalid", "true");
  input.focus();
  input.addEventListener("input", () => input.removeAttribute("aria-invalid"), { once: true });
  throw new FieldError(message);
}
