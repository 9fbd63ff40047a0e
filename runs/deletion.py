"""Removes rows in short transactions, so that claims, admissions and settlements do not wait for
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from runs.models import DeletedRun, Run, RunAction, RunEvent
from threads.checkpoints.pruning import Pruning
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread
from threads.store.writes import remove_overdue

T = TypeVar("T")

#: How long a finished stateless run's thread is kept for readers that reconnect, in seconds.
DISCARD_AFTER = 120.0
#: Largest number of threads in one transaction, and of rows that they own.
THREADS, ROWS = 100, 5000
#: After a transaction the pruner rests for as long as it took, within these bounds in seconds.
REST, LONGEST_REST = 0.01, 1.0
#: The advisory lock that a pruner holds during a transaction, so that two take turns and do not wait for each
#: other's rows.
LOCK = 0x7072756E65

#: What a transaction has removed (a field of a report), and how many.
Step = tuple[str, int]

# A row's physical position is the cheapest way to address the rows of a batch. Deletion goes backwards: the first
# transaction that takes events of a run takes its last one, and no later one does. Readers rely on it: while the
# last event is there, all are, and a beginning without it is not the whole log (`runs.events.log_reader`).
DELETE_EVENTS = {
    "postgresql": "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {condition}))",
    "sqlite": "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {condition})",
}
LAST_OF_RUNS = "run_id IN ({places}) ORDER BY run_id DESC, epoch DESC, seq DESC LIMIT %s"


@contextmanager
def turn() -> Iterator[None]:
    """A transaction of a pruner."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield


def rest_after(seconds: float) -> float:
    """How long to rest after a transaction that took so many seconds."""
    return min(LONGEST_REST, max(REST, seconds))


async def in_turns(steps: Iterator[T]) -> list[T]:
    """Execute the steps of a pruner, with rests in between; each `next` is one transaction."""
    done: list[T] = []
    clock_time = asyncio.get_running_loop().time
    while True:
        began = clock_time()
        step = await in_database(next, steps, None)
        if step is None:
            return done
        done.append(step)
        await asyncio.sleep(rest_after(clock_time() - began))


def discarded(pruning: Pruning, *, rows: int = ROWS) -> Iterator[Step]:
    """Remove hidden threads; each `next` is one transaction."""
    found = overdue(clock.now())
    for page in pages(found, "discarded_at"):
        yield from remove_threads(page, pruning, rows=rows, kind="threads_discarded")


def pages(threads: QuerySet[Thread], column: str) -> Iterator[list[UUID]]:
    """The threads of a query in pages, ordered by a column. A thread that stays unchanged is not
    repeated.
    """
    after = Q()
    while page := list(threads.filter(after).order_by(column, "id").values_list(column, "id")[:THREADS]):
        yield [thread_id for _, thread_id in page]
        last, last_id = page[-1]
        after = Q(**{f"{column}__gt": last}) | Q(**{column: last, "id__gt": last_id})


def overdue(now: datetime) -> QuerySet[Thread]:
    """Discarded threads that readers no longer need."""
    before = now - timedelta(seconds=DISCARD_AFTER)
    return Thread.objects.filter(discarded_at__lt=before)


def remove_threads(thread_ids: Collection[UUID], pruning: Pruning, *, rows: int, kind: str) -> Iterator[Step]:
    """Remove discarded threads with all their data; each `next` is one transaction.

    The threads themselves are removed last, so that `discarded` can continue after a crash. Nothing
    is added to them meanwhile, because admission refuses them, and their new epoch fences every
    writer.
    """
    of_threads = Run.objects.filter(thread__in=thread_ids)
    run_ids = list(of_threads.values_list("id", flat=True)[:ROWS])
    while run_ids:
        yield from remove_runs(run_ids, rows=rows)
        run_ids = list(of_threads.values_list("id", flat=True)[:ROWS])
    deleted = rows
    while deleted == rows:
        with turn():
            deleted = pruning.delete(thread_ids, limit=rows)
        yield "checkpoint_rows", deleted
    with turn():
        left = Thread.objects.filter(id__in=thread_ids, discarded_at__isnull=False)
        free = list(left.select_for_update(skip_locked=True).values_list("id", flat=True))
        RunAction.objects.filter(thread_id__in=free)._raw_delete("default")
        count, _ = Thread.objects.filter(id__in=free).delete()
    yield kind, count


def remove_runs(run_ids: Collection[UUID], *, rows: int) -> Iterator[Step]:
    """Remove runs with their events; each `next` is one transaction. Their checkpoints are the thread's."""
    yield from remove_events(run_ids, rows=rows)
    for part in parts(run_ids, rows):
        with turn():
            # Only events refer to a run.
            count = Run.objects.filter(id__in=part)._raw_delete("default")
        yield "runs", count


def remove_events(run_ids: Collection[UUID], *, rows: int) -> Iterator[Step]:
    """Remove the events of runs; each `next` is one transaction."""
    for part in parts(run_ids, THREADS):
        deleted = rows
        while deleted == rows:
            with turn():
                deleted = _delete_events(part, rows)
            yield "events", deleted


def parts(ids: Collection[UUID], size: int) -> Iterator[list[UUID]]:
    every = list(ids)
    for start in range(0, len(every), size):
        yield every[start : start + size]


def _delete_events(run_ids: Collection[UUID], limit: int) -> int:
    field = RunEvent._meta.get_field("run")
    values = [field.get_db_prep_value(run_id, connection) for run_id in run_ids]
    condition = LAST_OF_RUNS.format(places=", ".join(["%s"] * len(values)))
    query = DELETE_EVENTS[connection.vendor].format(table=RunEvent._meta.db_table, condition=condition)
    with connection.cursor() as cursor:
        cursor.execute(query, [*values, limit])
        return int(cursor.rowcount)


def expired_items(*, rows: int) -> Iterator[Step]:
    """Remove the items of the store that have expired; each `next` is one transaction."""
    deleted = rows
    while deleted == rows:
        with turn():
            deleted = remove_overdue(limit=rows)
        if deleted:
            yield "store_items", deleted


def remove_run(run_id: UUID) -> None:
    """Delete a run, in the caller's transaction, which fences its writers. The storage removes its
    checkpoints, and `remains` its events.
    """
    if RunEvent.objects.filter(run_id=run_id).exists():
        DeletedRun.objects.get_or_create(run_id=run_id)
    Run.objects.filter(id=run_id).delete()


def remains(run_ids: Collection[UUID], *, rows: int = ROWS) -> Iterator[Step]:
    """Remove the events of deleted runs; each `next` is one transaction. Nobody can read them any more."""
    for part in parts(run_ids, THREADS):
        left = list(DeletedRun.objects.filter(run_id__in=part).values_list("run_id", flat=True))
        if not left:
            continue
        yield from remove_events(left, rows=rows)
        with turn():
            DeletedRun.objects.filter(run_id__in=left).delete()


def all_remains(*, rows: int) -> Iterator[Step]:
    """Remove the events of all deleted runs; each `next` is one transaction."""
    while ids := list(DeletedRun.objects.order_by("run_id").values_list("run_id", flat=True)[:THREADS]):
        yield from remains(ids, rows=rows)
