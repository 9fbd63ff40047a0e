"""Queues: paused and resumed by operators, and what waits in each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q

from runs import graphs
from runs.models import PausedQueue, Run, RunStatus, Worker
from runs.process.notifications import notify_after_commit
from runs.process.wakeups import WORK
from threads.db import clock, statements


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


def pause(name: str, *, reason: str = "") -> bool:
    """Stop the claims of this queue; return whether it was not paused before.

    Runs that execute continue. Every claim that begins after this call obeys the pause.
    """
    _, created = PausedQueue.objects.get_or_create(
        name=name, defaults={"paused_at": clock.now(), "reason": reason[:255]}
    )
    return created


def resume(name: str) -> bool:
    """End a queue's pause, and wake the workers; return whether it was paused."""
    deleted, _ = PausedQueue.objects.filter(name=name).delete()
    if deleted:
        notify_after_commit([WORK])
    return bool(deleted)


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
    )
