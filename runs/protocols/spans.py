"""Spans of time within a run's attempts: nodes, subgraphs, calls of models and tools. Pure.

`runs.protocols.timeline` puts them in order. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from runs.protocols.agent.items import MODEL, TOOL

Namespace = tuple[str, ...]
#: The most spans of a run; later ones are counted only.
MOST_SPANS = 10_000


class Entry(NamedTuple):
    """An entry of the run's log, and when it was written."""

    epoch: int
    seq: int
    name: str
    data: str
    at: int

    @property
    def id(self) -> str:
        return f"{self.epoch}-{self.seq}"


@dataclass(frozen=True, slots=True)
class Try:
    """An attempt: when it began and ended, and why."""

    number: int
    epoch: int
    began: int
    ended: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Times:
    """When a run was due and ended, and until when a question that it left waited for a person."""

    due: int
    ended: int | None = None
    #: None if it still waits.
    answered: int | None = None


@dataclass(slots=True)
class Span:
    """One bar of the waterfall. `parent` is the id of the span that it lies in, "" for none."""

    id: str
    parent: str
    #: queue, attempt, node, subgraph, model, tool or wait.
    kind: str
    name: str
    begin: int
    end: int | None = None
    #: running, done, failed, asked, or how it was cut off: lost, cancelled, timeout, stopped.
    status: str = "running"
    attempt: int = 0
    #: The ids of the entries in the log between which it happened.
    first: str = ""
    last: str = ""
    namespace: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        # Not `asdict`, whose deep copies take most of the time of a long run's page.
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(slots=True)
class Timeline:
    """The spans of a run, each after its parent, and how many more there were."""

    spans: list[Span]
    dropped: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"spans": [span.as_json() for span in self.spans], "dropped": self.dropped}


#: How the end of an attempt cuts off what was open in it.
CUT = {
    "lost": "lost", "interrupted": "cancelled", "timeout": "timeout", "drained": "stopped",
    "requeued": "stopped", "error": "failed", "success": "done", "": "running",
}  # fmt: skip


class Building:
    """Collects the spans of a log, entry by entry."""

    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self.dropped = 0
        #: The graphs whose models' calls are noted, so that their messages are no calls.
        self._noted: set[tuple[int, Namespace]] = set()
        #: The namespaces of noted calls. A call may be noted before its node's begin.
        self._places: dict[str, Namespace] = {}
        #: The open nodes of each graph.
        self._open: dict[tuple[int, Namespace], dict[str, Span]] = {}

    def attempt(self, each: Try) -> None:
        status = CUT.get(each.reason, each.reason)
        self._add(
            Span(
                f"a{each.number}", "", "attempt", f"Attempt {each.number}", each.began, each.ended, status,
                each.number,
            )
        )  # fmt: skip

    def take(self, entry: Entry, attempt: int, mode: str, namespace: Namespace, at: int, data: Any) -> None:
        if not isinstance(data, Mapping):
            return
        match mode:
            case "tasks" if "input" in data and "result" not in data:
                self._begin_task(entry, attempt, namespace, at, data)
            case "tasks":
                self._end_task(entry, attempt, at, data)
            case "tools":
                self._tool(entry, attempt, namespace, at, data)
            case str() if mode == TOOL and (span := self.spans.get(f"t{attempt}:{data.get('id')}")):
                span.detail["error"] = data.get("error")
            case str() if mode == MODEL:
                self._model(entry, attempt, namespace, at, data)
            case "messages" if str(data.get("type", "")).lower().startswith("ai"):
                self._message(entry, attempt, namespace, at, data)

    def _begin_task(
        self, entry: Entry, attempt: int, namespace: Namespace, at: int, task: Mapping[str, Any]
    ) -> None:
        name = str(task.get("name", ""))
        parent = self._owner(attempt, namespace)
        if namespace and (owner := self.spans.get(parent)) is not None and owner.kind == "node":
            owner.kind = "subgraph"
        key = _task(attempt, task.get("id"))
        span = Span(key, parent, "node", name, at, attempt=attempt, first=entry.id, last=entry.id)
        span.namespace = list(namespace)
        if self._add(span):
            self._open.setdefault((attempt, namespace), {})[key] = span

    def _end_task(self, entry: Entry, attempt: int, at: int, task: Mapping[str, Any]) -> None:
        if (span := self.spans.get(_task(attempt, task.get("id")))) is None:
            return
        error = task.get("error")
        if error:
            span.detail["error"] = error
        self._open.get((attempt, tuple(span.namespace)), {}).pop(span.id, None)
        status = "failed" if error else "asked" if task.get("interrupts") else "done"
        self._end(span, entry, at, status)

    def _tool(
        self, entry: Entry, attempt: int, namespace: Namespace, at: int, data: Mapping[str, Any]
    ) -> None:
        key = f"t{attempt}:{data.get('tool_call_id')}"
        if data.get("event") == "tool-started":
            # The namespace is the graph's, without the node that calls the tool.
            node = self._open_node(attempt, namespace, "tools")
            parent = node.id if node is not None else self._owner(attempt, namespace)
            span = Span(key, parent, "tool", str(data.get("tool_name") or "tool"), at, attempt=attempt)
            span.first = span.last = entry.id
            span.detail["call"] = data.get("tool_call_id")
            self._add(span)
        elif (known := self.spans.get(key)) is not None and known.end is None:
            if data.get("event") == "tool-finished":
                self._end(known, entry, at, "done")
            elif data.get("event") == "tool-error":
                # What was noted for operators says more.
                known.detail.setdefault("error", data.get("message"))
                self._end(known, entry, at, "failed")

    def _model(
        self, entry: Entry, attempt: int, namespace: Namespace, at: int, data: Mapping[str, Any]
    ) -> None:
        key = f"m{attempt}:{data.get('id')}"
        if data.get("event") == "start":
            span = Span(key, f"a{attempt}", "model", str(data.get("name") or "model"), at)
            self._places[key] = namespace
            span.attempt, span.first, span.last = attempt, entry.id, entry.id
            self._noted.add((attempt, namespace[:-1]))
            self._add(span)
        elif (known := self.spans.get(key)) is not None and known.end is None:
            known.detail |= {name: data[name] for name in ("usage", "error") if data.get(name)}
            self._end(known, entry, at, "failed" if data.get("event") == "error" else "done")

    def _message(
        self, entry: Entry, attempt: int, namespace: Namespace, at: int, data: Mapping[str, Any]
    ) -> None:
        """A message of a model whose calls the log does not have, as of older code."""
        if (attempt, namespace) in self._noted:
            return
        key = f"s{attempt}:{data.get('id')}"
        span = self.spans.get(key)
        if span is None:
            parent = self._open_node(attempt, namespace, data.get("node"))
            if parent is None:
                return
            span = Span(key, parent.id, "model", "model", at, attempt=attempt, first=entry.id)
            self._add(span)
        span.detail |= {"usage": data["usage_metadata"]} if data.get("usage_metadata") else {}
        self._end(span, entry, at, "done")

    def close(self, tries: Sequence[Try]) -> None:
        """Put calls into their nodes, and end what was open when its attempt ended."""
        for key, namespace in self._places.items():
            if (call := self.spans.get(key)) is not None:
                call.parent = self._owner(call.attempt, namespace)
        ends = {each.number: each for each in tries}
        for span in self.spans.values():
            if span.end is None and (owner := ends.get(span.attempt)) is not None and owner.ended is not None:
                span.end, span.status = max(owner.ended, span.begin), CUT.get(owner.reason, owner.reason)

    def _owner(self, attempt: int, namespace: Namespace) -> str:
        """The id of the task that a namespace's last segment names; of the attempt for the root."""
        for segment in reversed(namespace):
            key = _task(attempt, segment.partition(":")[2].split(":")[0])
            if key in self.spans:
                return key
        return f"a{attempt}"

    def _open_node(self, attempt: int, namespace: Namespace, name: object) -> Span | None:
        """The open node of this name in a graph, else the one that began last."""
        here = list(self._open.get((attempt, namespace), {}).values())
        named = [span for span in here if span.name == name]
        found = named or here
        return found[-1] if found else None

    def _add(self, span: Span) -> bool:
        if span.id in self.spans:
            return False
        if len(self.spans) >= MOST_SPANS:
            self.dropped += 1
            return False
        self.spans[span.id] = span
        return True

    @staticmethod
    def _end(span: Span, entry: Entry, at: int, status: str) -> None:
        span.end, span.status, span.last = max(at, span.begin), status, entry.id


def _task(attempt: int, task_id: object) -> str:
    return f"n{attempt}:{task_id}"
