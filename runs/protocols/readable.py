"""Entries of a run's log as sentences for operators. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from runs.encoding import decode, encode
from runs.protocols.agent.items import LOG, MODEL, PACK, TOOL
from runs.protocols.spans import Entry
from threads.redaction import redacted, redacted_text

#: The most characters of a line.
LONGEST = 300
#: The kinds by which lines are filtered, with their names.
KINDS = {
    "run": "run", "node": "nodes", "model": "models", "token": "tokens", "tool": "tools", "state": "states",
    "saved": "checkpoints", "question": "questions", "custom": "custom", "log": "log", "error": "errors",
    "other": "other",
}  # fmt: skip


class Line(NamedTuple):
    """One line of the log as people read it."""

    id: str
    at: int
    kind: str
    namespace: str
    text: str
    #: The data behind the text, without secrets.
    data: Any = None


def lines(entry: Entry) -> Iterator[Line]:
    """The lines of an entry, without secrets; packed items are lines of their own."""
    if entry.name == PACK:
        for number, (mode, namespace, at, data) in enumerate(redacted(decode(entry.data)), start=1):
            yield _line(f"{entry.id}.{number}", at, mode, namespace, data)
        return
    mode, *namespace = entry.name.split("|")
    yield _line(entry.id, entry.at, mode, namespace, redacted(decode(entry.data)))


def _line(name: str, at: int, mode: str, namespace: Sequence[str], data: Any) -> Line:
    kind, text = _told(mode, data)
    # Cut before as well, because the search for secrets takes time in a long text.
    text = redacted_text(text[: 2 * LONGEST].replace("\n", " "))
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return Line(name, at, kind, "|".join(namespace), shown, data)


def _told(mode: str, data: Any) -> tuple[str, str]:
    """The kind of an entry, and what it says."""
    if not isinstance(data, Mapping):
        if mode == "messages" and isinstance(data, list) and data and isinstance(data[0], Mapping):
            return _message(data[0])
        return "other", f"{mode}: {encode(data)}"
    told = TOLD.get(mode)
    return told(data) if told is not None else ("other", f"{mode}: {encode(data)}")


def _task(data: Mapping[str, Any]) -> tuple[str, str]:
    name = data.get("name")
    if "result" not in data:
        return "node", f"{name} begins"
    if error := data.get("error"):
        return "error", f"{name} failed: {_error(error)}"
    if data.get("interrupts"):
        return "question", f"{name} asks a person"
    return "node", f"{name} done"


def _message(data: Mapping[str, Any]) -> tuple[str, str]:
    content = data.get("content")
    if isinstance(content, list):
        parts = [each.get("text") or "" for each in content if isinstance(each, Mapping)]
        content = "".join(map(str, parts))
    calls = [str(each.get("name")) for each in data.get("tool_calls") or () if isinstance(each, Mapping)]
    text = str(content or "") or (f"calls {', '.join(calls)}" if calls else "")
    return "token", f"“{text}”" if content else text or "…"


def _updates(data: Mapping[str, Any]) -> tuple[str, str]:
    if "__interrupt__" in data:
        return "question", "the run stops at a question"
    changed = [
        f"{node}: {', '.join(map(str, update)) if isinstance(update, Mapping) else 'updated'}"
        for node, update in data.items()
    ]
    return "state", "; ".join(changed)


def _model(data: Mapping[str, Any]) -> tuple[str, str]:
    match data.get("event"):
        case "start":
            return "model", f"{data.get('name', 'model')} begins"
        case "error":
            return "error", f"model failed: {_error(data.get('error'))}"
    usage = data.get("usage") or {}
    total = usage.get("total_tokens")
    return "model", f"model done{f', {total} tokens' if total else ''}"


def _tool(data: Mapping[str, Any]) -> tuple[str, str]:
    match data.get("event"):
        case "tool-started":
            return "tool", f"{data.get('tool_name')} {encode(data.get('input'))}"
        case "tool-error":
            return "error", f"tool failed: {data.get('message')}"
        case "tool-finished":
            return "tool", "tool done"
    return "tool", "tool output"


def _log(data: Mapping[str, Any]) -> tuple[str, str]:
    return "log", f"{data.get('level')} {data.get('logger')}: {data.get('message')}"


def _error(error: Any) -> str:
    if isinstance(error, Mapping):
        return f"{error.get('error')}: {error.get('message')}"
    return str(error)


TOLD = {
    "metadata": lambda data: ("run", f"attempt {data.get('attempt', '')} begins"),
    "error": lambda data: ("error", _error(data)),
    "tasks": _task,
    "messages": _message,
    "updates": _updates,
    "values": lambda data: ("state", f"state: {', '.join(map(str, data))}"),
    "checkpoints": lambda data: (
        "saved",
        f"step {data.get('step', (data.get('metadata') or {}).get('step'))}",
    ),
    "custom": lambda data: ("custom", encode(data)),
    "tools": _tool,
    MODEL: _model,
    TOOL: lambda data: ("error", f"tool failed: {_error(data.get('error'))}"),
    LOG: _log,
}
