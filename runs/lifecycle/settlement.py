"""Settlement: writes the outcomes of attempts, in one transaction, only as the runs' owner."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection, transaction

from runs.deletion import remove_run
from runs.events import table
from runs.events.table import Part
from runs.exceptions import RunLost
from runs.lifecycle import thread_rest
from runs.lifecycle.outcomes import Ending, Outcome
from runs.models import Run, RunStatus
from runs.webhooks import announcements
from threads.db import clock, statements
from threads.db.ids import UserId
from threads.models import Thread
from threads.texts import writing as texts
from threads.texts.content import Content, content_of

STATUS = {
    Ending.SUCCESS: RunStatus.SUCCESS,
    Ending.ERROR: RunStatus.ERROR,
    Ending.TIMEOUT: RunStatus.TIMEOUT,
    Ending.INTERRUPTED: RunStatus.INTERRUPTED,
}
#: A run's id, and the epoch of the attempt.
Attempt = tuple[UUID, int]
RUNS, THREADS = Run._meta.db_table, Thread._meta.db_table
LOCK = (
    f"SELECT id, epoch, resting_status, ttl_minutes, user_id, metadata FROM {THREADS} "
    "WHERE id = ANY(%b) ORDER BY id FOR UPDATE"
)
IN_FLIGHT = "status IN ('pending', 'running')"
BUSY = f"SELECT DISTINCT thread_id FROM {RUNS} WHERE thread_id = ANY(%b) AND {IN_FLIGHT}"
#: The columns of its thread, except the status, that an executed run changes. None keeps a column of KEPT and
#: clears another one.
CHANGES = (
    "error", "interrupts", "values", "state_updated_at", "discarded_at", "expires_at", "stale_since", "refreshes",
)  # fmt: skip
#: Columns that keep their value where the new value is None.
KEPT = ("interrupts", "values", "state_updated_at", "discarded_at", "expires_at")


class Held(NamedTuple):
    """A thread that this transaction has locked."""

    id: UUID
    epoch: int
    resting_status: str
    ttl_minutes: float | None
    user_id: UserId
    metadata: Any


@dataclass(frozen=True)
class Ended:
    """An attempt that has ended, and what settlement writes about it.

    Args:
        part: The events that the log does not have yet.
        event_count: The number of all events of this attempt.
    """

    run: Run
    outcome: Outcome
    part: Part
    event_count: int

    @property
    def final(self) -> bool:
        """Whether the run gets a final status, and is not deleted."""
        return self.outcome.ending in STATUS

    @cached_property
    def content(self) -> Content | None:
        """What the thread's values say; None if they stay, or if the thread is discarded."""
        values = self.outcome.values
        return None if values is None or self.run.temporary else content_of(values)


def settle(ended: Ended) -> bool:
    """Write the final status, the last events, and what the run leaves on its thread.

    A run that a shutdown stopped becomes `pending` again instead, and a rolled-back run is deleted.

    Returns whether other runs wait on the thread. Raises RunLost, and writes nothing, if this
    process no longer owns the run.
    """
    _read([ended])
    with transaction.atomic():
        busy = _settle([ended]).get((ended.run.id, ended.run.epoch)) if ended.final else _take_back(ended)
        if busy is None:
            raise RunLost
    return busy


def settle_together(batch: Sequence[Ended]) -> dict[Attempt, bool]:
    """Settle runs with final statuses in one transaction, each as `settle` does.

    Returns by attempt whether other runs wait on its thread. Attempts missing from the result were
    not written: their threads were locked, so they were skipped, or their runs are lost.
    """
    _read(batch)
    with transaction.atomic():
        return _settle(batch, wait=False)


def _settle(batch: Sequence[Ended], *, wait: bool = True) -> dict[Attempt, bool]:
    held = _lock([ended.run.thread_id for ended in batch], wait=wait)
    # Read under the locks, so that a run admitted later has a later time.
    now = clock.now()
    owned = [
        ended
        for ended in batch
        if (thread := held.get(ended.run.thread_id)) and thread.epoch == ended.run.epoch
    ]
    written = Run.objects.settle_each([_final(ended) for ended in owned], now=now)
    settled = [ended for ended in owned if ended.run.id in written]
    if parts := [ended.part for ended in settled if ended.part.events]:
        table.insert(parts, now=now)
    for ended in settled:
        announcements.announce(
            ended.run,
            status=STATUS[ended.outcome.ending],
            now=now,
            error=ended.outcome.error,
            values=ended.outcome.values,
            waits=ended.outcome.ending is Ending.SUCCESS and thread_rest.waits(ended.outcome),
        )
    busy = _busy([ended.run.thread_id for ended in settled])
    rows = [_left(ended, held[ended.run.thread_id], busy=busy, now=now) for ended in settled]
    statements.update_each(Thread, rows, {"updated_at": now}, kept=KEPT)
    _write_texts([(ended, held[ended.run.thread_id]) for ended in settled])
    return {(ended.run.id, ended.run.epoch): ended.run.thread_id in busy for ended in settled}


def _read(batch: Sequence[Ended]) -> None:
    """Read what the values say, before anything is locked."""
    for ended in batch:
        _ = ended.content


def _write_texts(settled: Sequence[tuple[Ended, Held | Thread]]) -> None:
    texts.write(
        [
            texts.text(thread.id, user_id=thread.user_id, metadata=thread.metadata, content=ended.content)
            for ended, thread in settled
            if ended.content is not None
        ]
    )


def _lock(thread_ids: Sequence[UUID], *, wait: bool) -> dict[UUID, Held]:
    """Lock threads; skip those that are already locked, unless `wait`."""
    if connection.vendor != "postgresql":
        # SQLite's transaction has locked the whole database.
        return {row[0]: Held(*row) for row in statements.among(Thread, Held._fields, thread_ids)}
    with connection.cursor() as cursor:
        cursor.execute(LOCK if wait else LOCK + " SKIP LOCKED", [list(thread_ids)])
        return {row[0]: Held(*row)._replace(metadata=orjson.loads(row[-1])) for row in cursor.fetchall()}


def _busy(thread_ids: Sequence[UUID]) -> set[UUID]:
    """The threads with runs in flight."""
    if connection.vendor != "postgresql":
        rows = statements.among(Run, ("thread_id",), thread_ids, of="thread_id", condition=IN_FLIGHT)
        return {thread_id for (thread_id,) in rows}
    with connection.cursor() as cursor:
        cursor.execute(BUSY, [list(thread_ids)])
        return {thread_id for (thread_id,) in cursor.fetchall()}


def _final(ended: Ended) -> dict[str, Any]:
    """The changes to the run's row."""
    outcome = ended.outcome
    return {
        "id": ended.run.id,
        "epoch": ended.run.epoch,
        "status": STATUS[outcome.ending],
        "error": outcome.detail,
        "failure": outcome.failure,
        "event_count": ended.event_count,
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "usage": outcome.usage,
    }


def _left(ended: Ended, thread: Held, *, busy: Collection[UUID], now: datetime) -> dict[str, Any]:
    """The changes to the thread's row, with a value for each column."""
    rest = thread_rest.executed(ended.outcome)
    waiting = thread.id in busy
    changes = thread_rest.after(rest, thread, in_flight=waiting, now=now, temporary=ended.run.temporary)
    del changes["updated_at"]
    return {"id": thread.id, **dict.fromkeys(CHANGES), **changes}


def _take_back(ended: Ended) -> bool | None:
    """Requeue or delete a run; returns None if it is lost."""
    run, outcome = ended.run, ended.outcome
    thread = statements.get(Thread, {"id": run.thread_id, "epoch": run.epoch}, lock=True)
    if thread is None:
        return None
    now = clock.now()
    # The epoch ends here, so that late writes of this process are refused, and no events are added to a
    # deleted run.
    changes: dict[str, Any] = {"epoch": thread.epoch + 1, "updated_at": now}
    busy = False
    if outcome.ending is Ending.DRAINED:
        if ended.part.events:
            table.insert([ended.part], now=now)
        written = Run.objects.requeue(run.id, epoch=run.epoch, now=now, lost=outcome.charged)
    else:
        written = Run.objects.filter(id=run.id, epoch=run.epoch, status=RunStatus.RUNNING).exists()
        # To a webhook's receiver, a rolled-back run is a cancelled one.
        announcements.announce(run, status=RunStatus.INTERRUPTED, now=now, values=outcome.values)
        remove_run(run.id)
        busy = bool(_busy([thread.id]))
        rest = thread_rest.rolled_back(outcome)
        changes |= thread_rest.after(rest, thread, in_flight=busy, now=now, temporary=run.temporary)
    if not written:
        raise RunLost
    statements.update(Thread, changes, {"id": thread.id})
    if outcome.ending is not Ending.DRAINED:
        _write_texts([(ended, thread)])
    return busy
