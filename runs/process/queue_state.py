"""The number of pending and running runs, and their waiting times, for monitoring.

The queries use partial indexes of runs in flight, so that their cost does not depend on the number
of finished runs. They are executed at most once in a few seconds, however often the state is
requested.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Exists, OuterRef

from runs.models import Run, RunStatus, Worker
from threads.db import clock

#: How long a result is reused, in seconds.
GOOD_FOR = 3.0
#: The largest number of pending runs that is counted, and among how many the first unblocked run is searched.
MOST, LOOKED_AT = 100_000, 1_000


@dataclass(frozen=True, slots=True)
class QueueState:
    """Waiting times are in seconds since a run was due; None when no run waits."""

    n_pending: int
    pending_runs_wait_time_max_secs: float | None
    pending_runs_wait_time_med_secs: float | None
    pending_unblocked_runs_wait_time_max_secs: float | None
    n_running: int
    #: Workers with a valid lease, in all processes.
    n_workers: int

    def as_json(self) -> dict[str, Any]:
        shown = asdict(self)
        del shown["n_workers"]
        return shown


_last: tuple[float, QueueState] | None = None


def queue_state() -> QueueState:
    """The state of the whole site's queue, a few seconds old at most."""
    global _last
    known, now = _last, time.monotonic()
    if known is None or now - known[0] > GOOD_FOR:
        known = _last = now, read()
    return known[1]


def read() -> QueueState:
    now = clock.now()
    pending = Run.objects.filter(status=RunStatus.PENDING)
    # Runs with a delay do not count as waiting before they are due.
    due = pending.filter(due_at__lte=now).order_by("due_at", "id").values_list("due_at", flat=True)
    waiting = due[:MOST].count()
    first, median = due.first(), due[waiting // 2 : waiting // 2 + 1].first()
    first_due = list(due.values_list("id", flat=True)[:LOOKED_AT])
    running_there = Run.objects.filter(status=RunStatus.RUNNING, thread=OuterRef("thread"))
    unblocked = due.filter(~Exists(running_there), id__in=first_due).first()

    def waited(moment: Any) -> float | None:
        return None if moment is None else max(0.0, (now - moment).total_seconds())

    return QueueState(
        n_pending=pending[:MOST].count(),
        pending_runs_wait_time_max_secs=waited(first),
        pending_runs_wait_time_med_secs=waited(median),
        pending_unblocked_runs_wait_time_max_secs=waited(unblocked),
        n_running=Run.objects.filter(status=RunStatus.RUNNING).count(),
        n_workers=Worker.objects.alive(now).filter(stopped_at__isnull=True).count(),
    )
