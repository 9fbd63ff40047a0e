"""The event log's table: appending in batches, reading from a position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from runs.events.deltas import MOST_BASES, base_of, whole
from runs.models import Run, RunEvent
from runs.protocols.agent.items import PACK
from threads.db import statements
from threads.models import Thread

#: (epoch, seq): an event's place in its run; START is the position before the first event.
Position = tuple[int, int]
START: Position = (0, 0)

EVENTS, RUNS, THREADS = RunEvent._meta.db_table, Run._meta.db_table, Thread._meta.db_table

# `%b` sends arrays in binary, because in text format psycopg escapes each element by regular expressions.
INSERT = f"""
INSERT INTO {EVENTS} (run_id, epoch, seq, event, data, created_at)
SELECT e.run_id, e.epoch, e.seq, e.event, e.data, %s
FROM unnest(%b::uuid[], %b::bigint[], %b::int[], %b::text[], %b::text[]) AS e(run_id, epoch, seq, event, data)
ON CONFLICT DO NOTHING
"""
INSERT_LIVE = INSERT.replace("ON CONFLICT", "JOIN live l USING (run_id, epoch) ON CONFLICT")
# The same fence as a checkpoint's: nothing is added under an old epoch after a takeover, and nothing to a
# deleted run.
APPEND = f"""
WITH live AS MATERIALIZED (
    SELECT r.id AS run_id, f.epoch
    FROM unnest(%b::uuid[], %b::uuid[], %b::bigint[]) AS f(run_id, thread_id, epoch)
    JOIN {THREADS} t ON t.id = f.thread_id AND t.epoch = f.epoch
    JOIN {RUNS} r ON r.id = f.run_id AND r.status = 'running'
    ORDER BY t.id FOR KEY SHARE OF t
), added AS ({INSERT_LIVE})
SELECT run_id, epoch FROM live
"""


#: Largest number of events that a reader takes at once, and about how many characters they may have.
READ_EVENTS, READ_SIZE = 500, 1024 * 1024
# An event that is larger than this is read alone.
READ = f"""
SELECT epoch, seq, event, data FROM (
    SELECT epoch, seq, event, data, sum(length(data)) OVER (ORDER BY epoch, seq) - length(data) AS before
    FROM (SELECT epoch, seq, event, data FROM {EVENTS}
        WHERE run_id = %(run)s AND (epoch, seq) > (%(epoch)s, %(seq)s)
        ORDER BY epoch, seq LIMIT {READ_EVENTS}) AS next
) AS measured WHERE before < {READ_SIZE} ORDER BY epoch, seq
"""
BEFORE = f"""
SELECT epoch, seq, event, data FROM {EVENTS} WHERE run_id = %(run)s AND (epoch, seq) < (%(epoch)s, %(seq)s)
ORDER BY epoch DESC, seq DESC LIMIT 20
"""


class Event(NamedTuple):
    """One entry of a run's stream: a stream mode, with a subgraph's namespace, and the JSON that clients receive."""

    epoch: int
    seq: int
    name: str
    data: str

    @property
    def position(self) -> Position:
        return (self.epoch, self.seq)

    @property
    def id(self) -> str:
        return f"{self.epoch}-{self.seq}"


@dataclass(frozen=True, slots=True)
class Part:
    """New events of one run, written under one epoch of its thread."""

    run_id: UUID
    thread_id: UUID
    epoch: int
    events: Sequence[Event]


def append(parts: Sequence[Part], *, now: datetime) -> set[tuple[UUID, int]]:
    """Add events to the log in one transaction; return the (run id, epoch) pairs that still own
    their runs.

    The events of other pairs are refused as a whole. Adding an event twice has no effect.
    """
    if connection.vendor == "postgresql":
        owners: list[list[Any]] = [
            [part.run_id for part in parts],
            [part.thread_id for part in parts],
            [part.epoch for part in parts],
        ]
        with connection.cursor() as cursor:
            cursor.execute(APPEND, [*owners, now, *_columns(parts)])
            return set(cursor.fetchall())
    with transaction.atomic(savepoint=False):
        ids = [part.run_id for part in parts]
        running = set(statements.among(Run, ("id", "epoch"), ids, condition="status = 'running'"))
        live = [part for part in parts if (part.run_id, part.epoch) in running]
        insert(live, now=now)
    return {(part.run_id, part.epoch) for part in live}


def insert(parts: Sequence[Part], *, now: datetime) -> None:
    """Add events of runs whose threads this transaction has locked under the runs' epochs."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(INSERT, [now, *_columns(parts)])
            return
        # Values in the columns' format, because adapting the time for each row would double the cost of a
        # row.
        at = connection.ops.adapt_datetimefield_value(now)
        ids = [(part.run_id.hex, part.events) for part in parts]
        cursor.executemany(
            f"INSERT OR IGNORE INTO {EVENTS} (run_id, epoch, seq, event, data, created_at) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            [(run_id, *event, at) for run_id, events in ids for event in events],
        )


def _columns(parts: Sequence[Part]) -> list[list[Any]]:
    rows = [(part.run_id, *event) for part in parts for event in part.events]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], [], []]


def read(run_id: UUID, after: Position) -> list[Event]:
    """The next events of a run after a position, oldest first: a batch of bounded size, with at
    least one event if any is left.
    """
    parameters = {"run": _id(run_id), "epoch": after[0], "seq": after[1]}
    with connection.cursor() as cursor:
        cursor.execute(READ, parameters)
        found = [Event._make(row) for row in cursor.fetchall()]
    return list(bounded(_whole(run_id, found), READ_SIZE))


def _whole(run_id: UUID, stored: Iterable[Event]) -> Iterator[Event]:
    """Events as they were told (`runs.events.deltas`), up to one that is like an event which is being removed."""
    bases: dict[Position, str] = {}
    for event in stored:
        data, number = event.data, base_of(event.data)
        if number is not None:
            place = (event.epoch, number)
            if place not in bases:
                found = _data(run_id, place)
                if found is None:
                    return
                if len(bases) >= MOST_BASES:
                    bases.clear()
                bases[place] = found
            data = whole(data, bases[place])
        yield event._replace(data=data)


def _data(run_id: UUID, place: Position) -> str | None:
    found = RunEvent.objects.filter(run_id=run_id, epoch=place[0], seq=place[1])
    return found.values_list("data", flat=True).first()


def bounded(events: Iterable[Event], most: int) -> Iterator[Event]:
    """The first events, as long as they have so many characters; the first in any case."""
    size = 0
    for event in events:
        if size and size + len(event.data) > most:
            return
        size += len(event.data)
        yield event


def packs(run_id: UUID, *, containing: str, before: int | None = None) -> Iterator[tuple[str, str]]:
    """The rows (name, JSON) of a run's items among which are some of a mode, in their order.

    Args:
        before: Only rows of earlier epochs.
    """
    found = RunEvent.objects.filter(run_id=run_id, event=PACK, data__contains=f'["{containing}",')
    if before is not None:
        found = found.filter(epoch__lt=before)
    rows = found.order_by("epoch", "seq").values_list("epoch", "seq", "event", "data").iterator(100)
    for event in _whole(run_id, (Event._make(row) for row in rows)):
        yield event.name, event.data


def times(run_id: UUID, first: Position, last: Position) -> dict[Position, datetime]:
    """When the events between two positions were written, both included."""
    rows = RunEvent.objects.filter(run_id=run_id, epoch__range=(first[0], last[0]))
    if first[0] == last[0]:
        # Else each batch of a long attempt would read the whole attempt.
        rows = rows.filter(seq__range=(first[1], last[1]))
    found = rows.values_list("epoch", "seq", "created_at").order_by("epoch", "seq")
    return {(epoch, seq): at for epoch, seq, at in found if first <= (epoch, seq) <= last}


def _id(run_id: UUID) -> UUID | str:
    """A run's id in the database's format."""
    return run_id if connection.vendor == "postgresql" else run_id.hex


def before(run_id: UUID, epoch: int) -> Iterator[Event]:
    """The events of a run's earlier attempts, the newest first, a few of them in memory at a time."""
    return backwards(run_id, (epoch, 0))


def backwards(run_id: UUID, position: Position) -> Iterator[Event]:
    """The events before a position, the newest first, a few of them in memory at a time."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(BEFORE, {"run": _id(run_id), "epoch": position[0], "seq": position[1]})
            found = [Event._make(row) for row in cursor.fetchall()]
        if not found:
            return
        yield from _whole(run_id, found)
        position = found[-1].position
