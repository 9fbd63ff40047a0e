"""A run's log for people: pages of readable lines, filtered."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from runs.admin.run_page import reading
from runs.events import table
from runs.events.table import Event, Position
from runs.protocols.readable import Line, lines
from runs.protocols.spans import Entry

#: The most lines of a page, and the most entries that are read for it.
PAGE, SCANNED = 200, 2000
#: After the last entry.
END: Position = (2**62, 0)


def page(
    run_id: UUID,
    *,
    after: Position | None = None,
    before: Position | None = None,
    kinds: Collection[str] = (),
    namespace: str | None = None,
    data: bool = False,
) -> dict[str, Any]:
    """Lines after a position, oldest first; or the last ones before it.

    `first` and `last` are the ids between which the log was read, to go on from; `more` says whether
    there may be more in that direction.

    Args:
        kinds: Only lines of these kinds; none for all.
        namespace: Only lines of this subgraph; "" for the root graph, None for all.
        data: Whether to add what is behind each line.
    """
    found: list[dict[str, Any]] = []
    first = last = ""
    source = _forwards(run_id, after) if after is not None else _backwards(run_id, before or END)
    for scanned, entry in enumerate(source, start=1):
        part = [
            _shown(line, data=data)
            for line in lines(entry)
            if (not kinds or line.kind in kinds) and (namespace is None or line.namespace == namespace)
        ]
        if after is not None:
            found, first, last = found + part, first or entry.id, entry.id
        else:
            found, first, last = part + found, entry.id, last or entry.id
        if len(found) >= PAGE or scanned >= SCANNED:
            return {"lines": found, "first": first, "last": last, "more": True}
    return {"lines": found, "first": first, "last": last, "more": False}


def _shown(line: Line, *, data: bool) -> dict[str, Any]:
    shown = {"id": line.id, "at": line.at, "kind": line.kind, "namespace": line.namespace, "text": line.text}
    return {**shown, "data": line.data} if data else shown


def _forwards(run_id: UUID, after: Position) -> Iterator[Entry]:
    return islice(reading.entries(run_id, after), SCANNED)


def _backwards(run_id: UUID, before: Position) -> Iterator[Entry]:
    batch: list[Event] = []
    for event in table.backwards(run_id, before):
        batch.append(event)
        if len(batch) == 20:
            yield from _timed(run_id, batch)
            batch = []
    if batch:
        yield from _timed(run_id, batch)


def _timed(run_id: UUID, batch: list[Event]) -> Iterator[Entry]:
    written = table.times(run_id, batch[-1].position, batch[0].position)
    for event in batch:
        if (at := written.get(event.position)) is not None:
            yield Entry(event.epoch, event.seq, event.name, event.data, reading.milliseconds(at))
