"""A run as spans of time: waits in the queue, attempts, what is in them, and waits for a person. Pure: no
Django, no database.

Spans are derived from the event log and the attempts alone, so that a run that another process
executes, and one that ended long ago, show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from runs.encoding import decode
from runs.protocols.agent.items import PACK
from runs.protocols.spans import Building, Entry, Namespace, Span, Timeline, Times, Try

#: The modes of rows whose data is needed; other rows may be large, and are not decoded.
MODES = frozenset({"tasks", "tools", "messages"})


def timeline(times: Times, tries: Sequence[Try], entries: Iterable[Entry]) -> Timeline:
    """The spans of a run from its attempts and its log, in the order in which they began."""
    building = Building()
    epochs = {each.epoch: each for each in tries}
    for each in tries:
        building.attempt(each)
    for entry in entries:
        owner = epochs.get(entry.epoch)
        number = owner.number if owner is not None else 0
        for mode, namespace, at, data in _items(entry):
            building.take(entry, number, mode, namespace, at, data)
    building.close(tries)
    spans = [*_queue(times, tries), *building.spans.values()]
    if times.ended is not None and any(span.status == "asked" for span in spans):
        status = "asked" if times.answered is None else "done"
        spans.append(Span("wait", "", "wait", "Waits for a person", times.ended, times.answered, status))
    return Timeline(_nested(spans), building.dropped)


def _items(entry: Entry) -> Iterator[tuple[str, Namespace, int, Any]]:
    if entry.name == PACK:
        for mode, namespace, at, data in decode(entry.data):
            yield mode, tuple(namespace), at, data
        return
    mode, *names = entry.name.split("|")
    if mode in MODES:
        data = decode(entry.data)
        if mode == "messages":
            message, metadata = data
            data = {**message, "node": metadata.get("langgraph_node")}
        yield mode, tuple(names), entry.at, data


def _queue(times: Times, tries: Sequence[Try]) -> Iterator[Span]:
    """The waits before the attempts, and after the last one if it did not end the run."""
    since, again = times.due, ""
    for each in tries:
        if each.began > since:
            name = f"In queue{again}"
            yield Span(f"q{each.number}", "", "queue", name, since, each.began, "done", each.number)
        if each.ended is None:
            return
        since, again = each.ended, " again"
    waits = not tries or tries[-1].reason in ("lost", "drained", "requeued")
    if waits and (times.ended is None or times.ended > since):
        status = "running" if times.ended is None else "done"
        yield Span("q", "", "queue", f"In queue{again}", since, times.ended, status)


def _nested(spans: list[Span]) -> list[Span]:
    """Spans in the order of their begins, each below its parent."""
    below: dict[str, list[Span]] = {}
    known = {span.id for span in spans}
    for span in sorted(spans, key=lambda each: each.begin):
        below.setdefault(span.parent if span.parent in known else "", []).append(span)
    ordered: list[Span] = []
    waiting = below.pop("", [])[::-1]
    while waiting:
        ordered.append(span := waiting.pop())
        waiting += below.pop(span.id, [])[::-1]
    return ordered
