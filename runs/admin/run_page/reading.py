"""Reads a run's log for its page, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from runs.encoding import decode
from runs.events import table
from runs.events.table import Position
from runs.models import Attempt, Run
from runs.protocols.agent.items import PACK
from runs.protocols.spans import Entry, Timeline, Times, Try
from runs.protocols.timeline import timeline
from threads.models import Thread

#: How much of a log is read for one answer, in characters.
MOST_READ = 64 * 1024 * 1024


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def entries(run_id: UUID, after: Position = table.START, until: Position | None = None) -> Iterator[Entry]:
    """The entries of a log after a position, up to a bound of size."""
    read = 0
    while read < MOST_READ and (batch := table.read(run_id, after)):
        written = table.times(run_id, batch[0].position, batch[-1].position)
        for event in batch:
            if until is not None and event.position > until:
                return
            at = written.get(event.position)
            if at is not None:
                yield Entry(event.epoch, event.seq, event.name, event.data, milliseconds(at))
            read += len(event.data)
        after = batch[-1].position


def tries(run: Run) -> list[Try]:
    """The run's attempts. A run of older code has no record of them, so one is made from its row."""
    found = [
        Try(
            each.number, each.epoch, milliseconds(each.began_at),
            milliseconds(each.ended_at) if each.ended_at else None, each.reason,
        )
        for each in Attempt.objects.filter(run_id=run.id).order_by("number")
    ]  # fmt: skip
    if found or run.started_at is None:
        return found
    ended = milliseconds(run.finished_at) if run.finished_at else None
    return [Try(run.attempt, run.epoch, milliseconds(run.started_at), ended, run.status if ended else "")]


def timeline_of(run: Run, thread: Thread | None) -> Timeline:
    """The run as spans."""
    ended = milliseconds(run.finished_at) if run.finished_at else None
    times = Times(milliseconds(max(run.due_at, run.created_at)), ended, _answered(run, thread, ended))
    return timeline(times, tries(run), entries(run.id))


def _answered(run: Run, thread: Thread | None, ended: int | None) -> int | None:
    """When the thread went on after the run; its end, if no question is left."""
    if ended is None:
        return None
    later = Run.objects.filter(thread=run.thread_id, created_at__gt=run.finished_at).order_by("created_at")
    if (found := later.values_list("created_at", flat=True).first()) is not None:
        return milliseconds(found)
    return None if thread is not None and any(thread.interrupts.values()) else ended


def position(text: str) -> Position | None:
    """The position in an event's id; None if it is none."""
    epoch, _, seq = text.partition(".")[0].partition("-")
    if not (epoch.isascii() and epoch.isdigit() and seq.isascii() and seq.isdigit()):
        return None
    return (int(epoch), int(seq)) if len(epoch) < 19 and len(seq) < 10 else None


def last_state(run_id: UUID) -> Any:
    """The last state of the root graph in a run's log; None if it has none."""
    for event in table.backwards(run_id, (2**62, 0)):
        if event.name == "values":
            return decode(event.data)
        if event.name == PACK:
            states = [data for mode, where, _, data in decode(event.data) if mode == "values" and not where]
            if states:
                return states[-1]
    return None
