"""Expired runs and events, found by the order of run ids, which is the order of creation.

This needs no extra index, because a run that ended before a time was also created before it. The
events' key begins with the run's id, so the oldest events are at the beginning of the key's index.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from runs.deletion import Step, remove_events, remove_runs
from runs.models import Run, RunEvent
from runs.models.querysets import TERMINAL
from threads.db.ids import first_id

#: Runs that one query examines.
WINDOW = 1000
#: Runs whose events are removed together.
OWNERS = 100
START = UUID(int=0)

# Jumps from run to run in the index, without reading the other events of a run.
NEXT = "SELECT run_id FROM {events} WHERE run_id > {after} AND run_id < %s ORDER BY run_id LIMIT 1"
WITH_EVENTS = """
WITH RECURSIVE owners(run_id) AS (
    SELECT * FROM ({first}) AS first
    UNION ALL
    SELECT ({next}) FROM owners WHERE owners.run_id IS NOT NULL
)
SELECT run_id FROM owners WHERE run_id IS NOT NULL LIMIT %s
"""


def ended_before(before: datetime) -> QuerySet[Run]:
    return Run.objects.filter(status__in=TERMINAL, finished_at__lt=before)


def removable(before: datetime) -> QuerySet[Run]:
    """Runs that ended before a time, without the newest finished run of each thread, which has the
    thread's outcome.
    """
    newer = Q(created_at__gt=OuterRef("created_at")) | Q(
        created_at=OuterRef("created_at"), id__gt=OuterRef("id")
    )
    successors = Run.objects.filter(newer, thread=OuterRef("thread"), status__in=TERMINAL)
    return ended_before(before).filter(Exists(successors))


def old_runs(before: datetime, *, rows: int) -> Iterator[Step]:
    """Remove runs that ended before a time, with their events; each `next` is one transaction."""
    position, end = START, first_id(before)
    while True:
        page = Run.objects.filter(id__gt=position, id__lt=end).order_by("id")
        ids = list(page.values_list("id", flat=True)[:WINDOW])
        if not ids:
            return
        doomed = list(removable(before).filter(id__in=ids).values_list("id", flat=True))
        yield from remove_runs(doomed, rows=rows)
        position = ids[-1]
        # A query without a removal is also a step, so that the caller rests between steps.
        yield "runs", 0


def old_events(before: datetime, *, rows: int) -> Iterator[Step]:
    """Remove events of runs that ended before a time, and of deleted runs; each `next` is one
    transaction.
    """
    position, end = START, first_id(before)
    while True:
        ids = with_events(position, end)
        if not ids:
            return
        kept = Run.objects.filter(id__in=ids).exclude(id__in=ended_before(before).values("id"))
        doomed = set(ids) - set(kept.values_list("id", flat=True))
        yield from remove_events(sorted(doomed), rows=rows)
        position = ids[-1]
        yield "events", 0


def with_events(after: UUID, before: UUID) -> list[UUID]:
    """The ids of the next runs that have events, between these two ids."""
    field = RunEvent._meta.get_field("run")
    events = RunEvent._meta.db_table
    query = WITH_EVENTS.format(
        first=NEXT.format(events=events, after="%s"), next=NEXT.format(events=events, after="owners.run_id")
    )
    start, end = (field.get_db_prep_value(each, connection) for each in (after, before))
    with connection.cursor() as cursor:
        cursor.execute(query, [start, end, end, OWNERS])
        return [row[0] if isinstance(row[0], UUID) else UUID(row[0]) for row in cursor.fetchall()]
