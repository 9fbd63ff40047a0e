"""Reconcile: find orphans and settle them. One function for startup, sweep, command and admin; two at once are harmless."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from runs import event_store
from runs.conf import settings
from runs.event_store import Event, Part
from runs.leases import dead_workers, mark_stopped, sole_executor
from runs.models import Run, RunStatus
from runs.outcomes import describe
from runs.serialization import encode
from threads.database import in_database
from threads.models import Thread, ThreadStatus

if TYPE_CHECKING:
    from runs.manager import RunManager

logger = logging.getLogger(__name__)

#: Seconds that startup gives to recovery before it serves; the sweep goes on with the rest.
STARTUP_BUDGET = 2.0
BATCH = 200
#: Age in seconds from which a worker's run that it does not execute counts as an orphan.
OWN_GRACE = 10.0


class WorkerLost(Exception):
    """The process that executed a run is gone."""


@dataclass(slots=True)
class Report:
    """What a reconciliation found and did; lists of run ids."""

    dry_run: bool = False
    examined: int = 0
    requeued: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    #: Settled by somebody else meanwhile.
    skipped: list[str] = field(default_factory=list)
    #: Could not be settled; logged, and tried again next time.
    unsettled: list[str] = field(default_factory=list)
    duration_s: float = 0.0


def reconcile(
    *,
    action: str = "auto",
    before: datetime | None = None,
    dry_run: bool = False,
    run_ids: Collection[UUID] | None = None,
    sole: bool | None = None,
    worker_id: UUID | None = None,
    executing: Collection[UUID] = (),
    budget: float | None = None,
) -> Report:
    """Settle the runs that are marked running and whose worker is gone.

    Args:
        action: `resume` or `error` for all, or `auto`: as the run's or the site's policy says. Attempts are bounded
            in any case.
        before: Only runs created before this time.
        run_ids: Only these runs.
        sole: Whether this process holds SQLite's lock; None to try for it.
        worker_id, executing: The calling worker and what it executes: its other runs are orphans too.
        budget: Stop after this many seconds; the rest is left for the next time.
    """
    began = time.monotonic()
    report = Report(dry_run=dry_run)
    lock = sole_executor() if sole is None and connection.vendor != "postgresql" else nullcontext(bool(sole))
    with lock as alone:
        dead = [each for each in dead_workers(sole=alone) if each != worker_id]
        orphans = _orphans(dead, before=before, run_ids=run_ids, worker_id=worker_id, executing=executing)
        for run in orphans.iterator(chunk_size=BATCH):
            if budget is not None and time.monotonic() - began > budget:
                break
            report.examined += 1
            _settle_one(run, report, action=action, dry_run=dry_run)
        else:
            if not dry_run and not report.unsettled and before is None and run_ids is None:
                mark_stopped(dead)
    report.duration_s = round(time.monotonic() - began, 3)
    if report.examined:
        logger.info(
            "Reconciled %s orphaned runs: %s go on, %s failed, %s unsettled.",
            report.examined, len(report.requeued), len(report.failed), len(report.unsettled),
        )  # fmt: skip
    return report


def _orphans(
    dead: Collection[UUID],
    *,
    before: datetime | None,
    run_ids: Collection[UUID] | None,
    worker_id: UUID | None,
    executing: Collection[UUID],
) -> Any:
    gone = Q(worker__in=dead) | Q(worker__stopped_at__isnull=False) | Q(worker__isnull=True)
    if worker_id is not None:
        # A run that was claimed a moment ago may not be among `executing` yet.
        old = Q(updated_at__lt=timezone.now() - timedelta(seconds=OWN_GRACE))
        gone = (gone & ~Q(worker=worker_id)) | (Q(worker=worker_id) & ~Q(id__in=list(executing)) & old)
    orphans = Run.objects.filter(gone, status=RunStatus.RUNNING).order_by("created_at", "id")
    if before is not None:
        orphans = orphans.filter(created_at__lt=before)
    if run_ids is not None:
        orphans = orphans.filter(id__in=list(run_ids))
    return orphans


def _settle_one(run: Run, report: Report, *, action: str, dry_run: bool) -> None:
    resume = _resumes(run, action)
    try:
        done = True if dry_run else settle_orphan(run, resume=resume)
    except Exception:
        logger.exception("Run %s could not be recovered; it is tried again.", run.id)
        report.unsettled.append(str(run.id))
        return
    listed = (report.requeued if resume else report.failed) if done else report.skipped
    listed.append(str(run.id))


def _resumes(run: Run, action: str) -> bool:
    if run.cancel_action:
        # Whoever claims it next finishes the cancellation; nothing is executed.
        return True
    policy = (run.recovery or settings.RECOVERY) if action == "auto" else action
    return policy == "resume" and run.lost_attempts + 1 < settings.MAX_ATTEMPTS


def settle_orphan(run: Run, *, resume: bool) -> bool:
    """Put one orphan back or fail it, in one transaction; return False if somebody else settled it meanwhile.

    Locking the thread makes writers of the old epoch finish or fail first; the new epoch refuses them from then on.
    """
    now = timezone.now()
    with transaction.atomic():
        thread = Thread.objects.filter(id=run.thread_id, epoch=run.epoch).locked().first()
        if thread is None:
            return False
        epoch = thread.epoch + 1
        if resume:
            if not Run.objects.requeue(run.id, epoch=run.epoch, now=now, lost=not run.cancel_action):
                return False
            Thread.objects.filter(id=thread.id).update(epoch=epoch, updated_at=now)
            return True
        shown, detail = describe(WorkerLost(_why(run)))
        Thread.objects.filter(id=thread.id).update(epoch=epoch, updated_at=now)
        Run.objects.filter(id=run.id, epoch=run.epoch, status=RunStatus.RUNNING).update(epoch=epoch)
        last = Event(epoch, 1, "error", encode(shown))
        event_store.insert([Part(run.id, run.thread_id, epoch, [last])], now=now)
        if not Run.objects.settle(
            run.id,
            epoch=epoch,
            status=RunStatus.ERROR,
            now=now,
            error=detail,
            lost_attempts=run.lost_attempts + 1,
        ):
            raise RuntimeError(f"Run {run.id} changed under its thread's lock.")
        _leave(thread, run, shown, now)
        return True


def _why(run: Run) -> str:
    if run.lost_attempts:
        return (
            f"The process that executed this run was lost in {run.lost_attempts + 1} of its {run.attempt} attempts; "
            "it is not tried again."
        )
    return "The server restarted before this run reached a durable final state."


def _leave(thread: Thread, run: Run, error: dict[str, str], now: datetime) -> None:
    """The thread after a failed orphan. An old orphan never overwrites a newer run's outcome."""
    others = Run.objects.filter(thread=thread.id).exclude(id=run.id)
    if others.in_flight().exists():
        status: dict[str, Any] = {"status": ThreadStatus.BUSY}
    elif not others.filter(created_at__gte=run.created_at, id__gt=run.id).exists():
        status = {"status": ThreadStatus.ERROR, "error": error}
    elif thread.status == ThreadStatus.BUSY:
        status = {"status": ThreadStatus.INTERRUPTED if thread.interrupts else ThreadStatus.IDLE}
    else:
        return
    if run.temporary:
        status["discarded_at"] = now
    Thread.objects.filter(id=thread.id).update(**status, updated_at=now)


async def recover_at_startup(manager: RunManager) -> None:
    """Settle the orphans of earlier processes before the first request is served.

    More than fit into the budget are left for the sweep, so that the API is ready at once.
    """
    await in_database(reconcile, sole=True, worker_id=manager.worker_id, budget=STARTUP_BUDGET)


def parse_before(text: str, *, now: datetime | None = None) -> datetime:
    """Read an ISO time, or an age such as `90s`, `30m`, `2h`, `1d`. Raises ValueError."""
    now = now or timezone.now()
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    if text and text[-1] in units and text[:-1].replace(".", "", 1).isdigit():
        return now - timedelta(**{units[text[-1]]: float(text[:-1])})
    if text == "now":
        return now
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither an ISO time nor an age such as 2h.") from None
    return parsed if parsed.tzinfo else timezone.make_aware(parsed)
