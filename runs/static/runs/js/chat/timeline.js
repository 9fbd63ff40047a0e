// What a thread's model looks like on the page: people's messages, and turns of the agent made of steps. Pure.

import { textOf } from "../protocol/messages.js";

/**
 * The entries of the log, in order:
 * {kind: "human", key, message} and {kind: "turn", key, steps, text, tokens, live, failed, last}.
 *
 * @param model A ThreadModel.
 * @param all The root's messages, as `model.root.all()` gives them, or those of another branch.
 * @param options.sent Messages of this page that the server has not shown yet.
 * @param options.waiting What is there to be said while nothing else shows that something goes on.
 */
export function timeline(model, all, { sent = [], waiting = null, agents = true } = {}) {
  const entries = [];
  const replaced = all.findIndex(({ id }) => id && sent.some(({ instead }) => instead === id));
  const messages = replaced < 0 ? all : all.slice(0, replaced);
  const results = new Map(messages.filter(({ role }) => role === "tool").map((message) => [message.callId, message]));
  const called = new Set(messages.flatMap(({ blocks }) => blocks.filter(({ type }) => type === "call").map(({ id }) => id)));
  const beside = agents ? besides(model, messages, called) : new Map();
  const turn = () => {
    let last = entries.at(-1);
    if (last?.kind !== "turn") entries.push((last = { kind: "turn", key: `turn-${entries.at(-1)?.key ?? ""}`, steps: [], messages: [] }));
    return last;
  };
  const steps = (found) => found.length && turn().steps.push(...found);
  steps(beside.get(null) ?? []);
  for (const message of messages) {
    if (message.role === "human") entries.push({ kind: "human", key: message.key, message });
    else {
      const made = stepsOf(message, { model, results, called });
      if (made.length) {
        turn().messages.push(message);
        steps(made);
      }
    }
    steps(beside.get(message.key) ?? []);
  }
  const last = waiting && { kind: "waiting", live: true, ...waiting };
  // An answer that was cut off goes on where it stood, and not after what was sent since.
  if (last?.kind === "break") steps([waitingAt(entries, last)]);
  const shown = new Set(messages.map(({ id }) => id));
  for (const message of sent) if (!shown.has(message.id)) entries.push({ kind: "human", key: message.id, message });
  if (last && last.kind !== "break") steps([waitingAt(entries, last)]);
  entries.forEach(finish);
  return entries;
}

/** Each is another one where it stands elsewhere: it does not move. */
const waitingAt = (entries, step) => ({ key: `waiting-${entries.at(-1)?.steps?.at(-1)?.key ?? ""}`, ...step });

function finish(entry, place, entries) {
  entry.last = place === entries.length - 1;
  if (entry.kind !== "turn") return;
  entry.live = entry.steps.some(({ live }) => live);
  entry.failed = entry.steps.at(-1)?.kind === "failed";
  entry.text = entry.messages.filter(({ role }) => role === "ai").map(textOf).filter(Boolean).join("\n\n");
  const used = entry.messages.map(({ usage }) => usage?.total_tokens ?? 0);
  entry.tokens = used.reduce((sum, each) => sum + each, 0);
}

/** What stands after a message, by its key: sub-agents that no tool call shows, losses of a process, and failures. */
function besides(model, messages, called) {
  const keys = new Set(messages.map(({ key }) => key));
  const last = messages.at(-1)?.key ?? null;
  const found = new Map();
  const add = (anchor, step, runId) => {
    // What it stood after is on another branch, or was never saved.
    if (!keys.has(anchor) && runId !== model.run?.id) return;
    const place = keys.has(anchor) ? anchor : last;
    found.set(place, [...(found.get(place) ?? []), step]);
  };
  for (const scope of model.below()) {
    if (!scope.callId || !called.has(scope.callId)) add(scope.anchor, { ...agentStep(model, scope), at: scope.startedAt }, scope.runId);
  }
  for (const file of newestByRun(model)) add(file.anchor, { kind: "file", key: `file-${file.run}-${file.name}`, ...file }, file.run);
  for (const each of model.breaks) add(each.anchor, { kind: "break", ...each }, each.runId);
  for (const run of model.runs.values()) {
    if (run.status === "failed") add(run.anchor, { kind: "failed", key: `failed-${run.id}`, run, at: run.endedAt }, run.id);
    else if (run.stopped) add(run.anchor, { kind: "stopped", key: `stopped-${run.id}`, run, at: run.endedAt }, run.id);
  }
  for (const steps of found.values()) steps.sort((one, other) => one.at - other.at);
  return found;
}

/** Of each file the newest version that each run has made, with its place among all of them; it stands where the run made the first. */
function newestByRun(model) {
  const found = new Map();
  for (const versions of model.artifacts.files.values()) {
    versions.forEach((file, place) => {
      const key = `${file.run} ${file.name}`;
      const { anchor, at } = found.get(key) ?? file;
      if (file.run) found.set(key, { ...file, anchor, at, place, total: versions.length });
    });
  }
  return [...found.values()];
}

/** The steps of messages that are complete and call nothing, and so never change. */
const settled = new WeakMap();

/** The steps of one message that is no person's. */
export function stepsOf(message, told) {
  const isSettled = message.role === "ai" && !message.streaming && !message.lost && message.blocks.every(({ type }) => type === "text");
  if (!isSettled) return stepsNow(message, told);
  if (!settled.has(message)) settled.set(message, stepsNow(message, told));
  return settled.get(message);
}

function stepsNow(message, { model, results, called }) {
  if (message.role === "tool") {
    return called.has(message.callId) ? [] : [{ kind: "tool", key: message.key, call: { id: message.callId, name: message.name ?? "Tool", args: null }, result: message, state: message.failed ? "failed" : "done" }];
  }
  if (message.role === "system") return [{ kind: "note", key: message.key, text: textOf(message) }];
  const lastText = message.blocks.findLastIndex(({ type }) => type === "text" || type === "reasoning");
  return message.blocks.flatMap((block, place) => {
    const key = `${message.key}/${place}`;
    const live = Boolean(message.streaming) && place === message.blocks.length - 1;
    switch (block.type) {
      case "text":
        return [{ kind: "text", key, text: block.text, live: live && place === lastText, growing: Boolean(message.streaming), lost: message.lost, name: message.name }];
      case "reasoning": {
        const timed = block.startedAt ? block : message.timed?.[place];
        const took = timed?.startedAt ? (timed.endedAt ?? message.endedAt ?? model.time) - timed.startedAt : null;
        return [{ kind: "reasoning", key, text: block.text, live, took }];
      }
      case "call":
        return [toolStep(key, block, { model, result: results.get(block.id), live: message.streaming, lost: message.lost })];
      default:
        return [{ kind: "block", key, block }];
    }
  });
}

function toolStep(key, call, { model, result, live, lost }) {
  const known = model.tools.get(call.id);
  const agents = model.calledBy(call.id).map((scope) => agentStep(model, scope));
  const running = known?.status === "running";
  const asked = Boolean(model.active) && !result && !known;
  const state = result ? (result.failed ? "failed" : "done") : lost || known?.status === "lost" ? "lost" : known ? known.status : live || asked ? "running" : "stopped";
  const took = known?.endedAt ? known.endedAt - known.startedAt : null;
  return { kind: "tool", key, call, result, known, state, took, agents, live: running || (Boolean(live) && !result) };
}

/** The ids of the messages of a state. */
const idSets = new WeakMap();

function idsOf(messages) {
  if (!idSets.has(messages)) idSets.set(messages, new Set(messages.map(({ id }) => id)));
  return idSets.get(messages);
}

/** Sub-agents that have ended: {made, step}, what each was made of and became. */
const ended = new WeakMap();

/** A sub-agent with what it says and does; of one that has ended the same object until something about it has changed. */
function agentStep(model, scope) {
  const nested = model.below(scope.namespace).map((each) => agentStep(model, each));
  const made = [scope.changes, model.root.messages, ...nested];
  const before = ended.get(scope);
  if (before?.made.length === made.length && made.every((each, place) => each === before.made[place])) return before.step;
  const { step, isOver } = agentStepNow(model, scope, nested);
  if (isOver) ended.set(scope, { made, step });
  return step;
}

function agentStepNow(model, scope, nested) {
  const mine = idsOf(model.root.messages);
  const messages = scope.all().filter(({ id }) => !mine.has(id));
  const results = new Map(messages.filter(({ role }) => role === "tool").map((message) => [message.callId, message]));
  const called = new Set(messages.flatMap(({ blocks }) => blocks.filter(({ type }) => type === "call").map(({ id }) => id)));
  const steps = messages.flatMap((message) => (message.role === "human" ? [{ kind: "task", key: message.key, text: textOf(message) }] : stepsOf(message, { model, results, called })));
  // A node may return its task after what it has streamed.
  if (!scope.messages.length) steps.sort((one, other) => (other.kind === "task") - (one.kind === "task"));
  const state = { completed: "done", failed: "failed", interrupted: "ask", running: "running" }[scope.status] ?? "running";
  const took = scope.endedAt ? scope.endedAt - scope.startedAt : null;
  // What a call without a result is at, its run's events say.
  const isOver = (state === "done" || state === "failed") && [...called].every((id) => results.has(id));
  // All that it has said and done is the thread's own by now: only its name is left to be told.
  if (state === "done" && !steps.length && !nested.length) return { isOver, step: { kind: "speaker", key: `speaker-${scope.key}`, name: scope.name, took } };
  const last = messages.findLast((message) => message.role === "ai" && textOf(message));
  const step = {
    kind: "agent", key: `agent-${scope.key}`, name: scope.name, state, error: scope.error, steps: [...steps, ...nested],
    live: state === "running", took, last: last ? textOf(last) : "", task: steps.find(({ kind }) => kind === "task")?.text ?? "",
  };
  return { isOver, step };
}
