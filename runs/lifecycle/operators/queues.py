"""Queues: paused and resumed by operators, on record, and what waits in each; workers that are drained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Min, Q

from runs import graphs
from runs.lifecycle.records import Operator, record_on_site
from runs.models import PausedQueue, Run, RunStatus, Worker
from runs.process.leases import request_drain
from runs.process.notifications import notify_after_commit
from runs.process.wakeups import WORK
from threads.db import clock, statements
from threads.db.values.text import storable


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that has runs in flight, a graph, a worker, or a pause."""

    name: str
    pending: int
    running: int
    #: Since when the first of its due runs waits; None when none does.
    waiting_since: datetime | None
    #: The number of live workers that serve it.
    workers: int
    paused_at: datetime | None
    reason: str
    #: Who paused it, and from where; "" for code.
    who: str
    origin: str


def pause(name: str, *, by: Operator | None = None, reason: str = "") -> bool:
    """Stop the claims of this queue; return whether it was not paused before.

    Runs that execute continue. Every claim that begins after this call obeys the pause.

    Args:
        by: Who is on record; None for code.
    """
    defaults = {"paused_at": clock.now(), "reason": storable(reason[:255])}
    if by is not None:
        defaults |= {"who": storable(by.name[:255]), "origin": by.origin}
    with transaction.atomic():
        _, created = PausedQueue.objects.get_or_create(name=name, defaults=defaults)
        if created and by is not None:
            record_on_site("pause", name, by, reason=reason)
    return created


def resume(name: str, *, by: Operator | None = None, reason: str = "") -> bool:
    """End a queue's pause, and wake the workers; return whether it was paused.

    Args:
        by: Who is on record; None for code.
    """
    with transaction.atomic():
        deleted, _ = PausedQueue.objects.filter(name=name).delete()
        if deleted:
            notify_after_commit([WORK])
            if by is not None:
                record_on_site("resume", name, by, reason=reason)
    return bool(deleted)


def drain(worker: Worker, *, by: Operator) -> bool:
    """Ask a live worker to drain, on record; return whether there was one."""
    with transaction.atomic():
        asked = request_drain(worker.id)
        if asked:
            record_on_site("drain", str(worker), by)
    return asked


def is_paused(name: str) -> bool:
    return statements.exists(PausedQueue, "name = %s", {"name": name})


def overview() -> list[Queue]:
    """All queues by name."""
    now = clock.now()
    waits = Q(status=RunStatus.PENDING)
    counts: dict[str, Any] = {
        row["queue"]: row
        for row in Run.objects.in_flight()
        .order_by()
        .values("queue")
        .annotate(
            pending=Count("id", filter=waits),
            running=Count("id", filter=Q(status=RunStatus.RUNNING)),
            since=Min("due_at", filter=waits & Q(due_at__lte=now)),
        )
    }
    paused = {row.name: row for row in PausedQueue.objects.all()}
    serving = list(
        Worker.objects.alive(now)
        .filter(draining=False, drain_requested_at=None)
        .values_list("queues", flat=True)
    )
    named = {name for each in serving for name in each or ()}
    registered = {graphs.registration(name).queue for name in graphs.names()}
    return [
        _queue(name, counts.get(name, {}), serving, paused.get(name))
        for name in sorted({*counts, *paused, *named, *registered})
    ]


def _queue(
    name: str, counted: dict[str, Any], serving: list[list[str] | None], paused: PausedQueue | None
) -> Queue:
    return Queue(
        name=name,
        pending=counted.get("pending", 0),
        running=counted.get("running", 0),
        waiting_since=counted.get("since"),
        workers=sum(queues is None or name in queues for queues in serving),
        paused_at=paused.paused_at if paused else None,
        reason=paused.reason if paused else "",
        who=paused.who if paused else "",
        origin=paused.origin if paused else "",
    )
