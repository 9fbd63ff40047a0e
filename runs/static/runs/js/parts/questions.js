// What a graph asks, as pages put it to people, and the answer in the form that the graph expects. Pure.
//
// Known are LangChain's human-in-the-loop schema, the older one of agent-inbox, {question, options}, and JSON schemas; anything
// else is shown as it is, and answered by a text.

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/**
 * The points that a person decides about, of one interrupt:
 * {kind: "action", title, description, args, allowed, schema}, {kind: "choice", title, options}, {kind: "form", title, schema} or
 * {kind: "free", title, value}; and `answer(decisions)`, which makes the answer of the decisions, one for each point.
 */
export function readQuestion({ value, schema }) {
  if (isObject(value) && Array.isArray(value.action_requests) && value.action_requests.length) return langchain(value);
  const inbox = Array.isArray(value) ? value : [value];
  if (inbox.length && inbox.every((each) => isObject(each) && isObject(each.action_request))) return agentInbox(inbox, Array.isArray(value));
  if (isObject(value) && Array.isArray(value.options) && value.options.length) return options(value);
  const wanted = [schema, value?.response_schema, value?.schema].find((each) => isObject(each) && each.type === "object" && Object.keys(each.properties ?? {}).length);
  if (wanted) return { points: [{ kind: "form", title: titleOf(value) ?? wanted.title ?? "A question", description: descriptionOf(value), schema: wanted }], answer: ([decision]) => decision.value };
  return { points: [{ kind: "free", title: titleOf(value) ?? "The agent asks", description: descriptionOf(value), value: restOf(value) }], answer: ([decision]) => decision.value };
}

/** What a card of these points is called. */
export function headingOf(points) {
  const areActions = points.every(({ kind }) => kind === "action");
  if (points.length > 1) return areActions ? `May I do these ${points.length} things?` : `${points.length} questions wait for you`;
  return areActions ? `May I run ${points[0].title}?` : points[0].title;
}

const titleKey = (value) => ["question", "title", "prompt", "message", "query"].find((name) => typeof value?.[name] === "string");

function titleOf(value) {
  if (typeof value === "string") return value.length <= 300 ? value : null;
  return value?.[titleKey(value)] ?? null;
}

/** What a question has beside its title and its description; undefined if that is nothing. */
function restOf(value) {
  if (!isObject(value)) return titleOf(value) === value ? undefined : value;
  const entries = Object.entries(value).filter(([name]) => name !== titleKey(value) && !(name === "description" && descriptionOf(value)));
  return entries.length ? Object.fromEntries(entries) : undefined;
}

const descriptionOf = (value) => (typeof value?.description === "string" ? value.description : "");

function langchain(value) {
  const configs = new Map((value.review_configs ?? []).map((each) => [each.action_name, each]));
  const points = value.action_requests.map((request) => {
    const name = request.name ?? request.action;
    const config = configs.get(name) ?? {};
    return { kind: "action", title: name, description: request.description ?? "", args: request.args ?? request.arguments ?? {}, allowed: config.allowed_decisions ?? ["approve", "edit", "reject"], schema: config.args_schema };
  });
  const decide = (decision, place) => {
    if (decision.type === "edit") return { type: "edit", edited_action: { name: points[place].title, args: decision.args } };
    if (decision.type === "reject" || decision.type === "respond") return { type: decision.type, ...(decision.message ? { message: decision.message } : {}) };
    return { type: "approve" };
  };
  return { points, answer: (decisions) => ({ decisions: decisions.map(decide) }) };
}

function agentInbox(requests, many) {
  const points = requests.map(({ action_request: action, config = {}, description = "" }) => ({
    kind: "action", title: action.action, description, args: action.args ?? {},
    allowed: [config.allow_accept && "approve", config.allow_edit && "edit", config.allow_respond && "respond", config.allow_ignore && "ignore"].filter(Boolean),
  }));
  const decide = (decision, place) => {
    if (decision.type === "edit") return { type: "edit", args: { action: points[place].title, args: decision.args } };
    if (decision.type === "respond") return { type: "response", args: decision.message };
    if (decision.type === "ignore") return { type: "ignore", args: null };
    return { type: "accept", args: null };
  };
  // A graph that asks one thing reads the first of a list, as agent-inbox has always answered.
  return { points, many, answer: (decisions) => decisions.map(decide) };
}

function options(value) {
  const listed = value.options.map((each) => (isObject(each) ? { label: String(each.label ?? each.title ?? each.value), value: "value" in each ? each.value : each.label } : { label: String(each), value: each }));
  return { points: [{ kind: "choice", title: titleOf(value) ?? "Choose one", description: descriptionOf(value), options: listed }], answer: ([decision]) => decision.value };
}
