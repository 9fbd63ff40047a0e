"""Reconcile: find orphans and settle them. One function for startup, sweep, command and admin; two at once are harmless."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from runs import event_store
from runs.conf import settings
from runs.event_store import Event, Part
from runs.leases import dead_workers, mark_stopped, sole_executor
from runs.models import Run, RunStatus
from runs.outcomes import describe
from runs.querysets import TERMINAL
from runs.questions import waiting_questions
from runs.serialization import encode
from threads import clock, expiry
from threads.database import in_database
from threads.models import Thread, ThreadStatus

if TYPE_CHECKING:
    from runs.manager import RunManager

logger = logging.getLogger(__name__)

#: Seconds that recovery may take before the first request is served, and in one sweep; the next one goes on.
STARTUP_BUDGET, SWEEP_BUDGET = 1.0, 2.0
#: Orphans that are put back in one transaction.
BATCH = 200
#: How often, and with which pause in seconds, a thread that somebody has locked is tried.
TRIES, PAUSE = 5, 0.05
#: Age in seconds from which a worker's run that it does not execute counts as an orphan.
OWN_GRACE = 10.0


class WorkerLost(Exception):
    """The process that executed a run is gone."""


class ThreadLocked(Exception):
    """Somebody has locked the thread: a last write of the dead process, or another reconciliation."""


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
    #: False when the budget ended before all were looked at.
    complete: bool = True
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
        for batch in _batches(orphans):
            if budget is not None and time.monotonic() - began > budget:
                report.complete = False
                break
            report.examined += len(batch)
            _settle(batch, report, action=action, dry_run=dry_run)
        if report.unsettled:
            report.complete = False
        if report.complete and not dry_run and before is None and run_ids is None:
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
        old = Q(updated_at__lt=clock.now() - timedelta(seconds=OWN_GRACE))
        gone = (gone & ~Q(worker=worker_id)) | (Q(worker=worker_id) & ~Q(id__in=list(executing)) & old)
    orphans = Run.objects.filter(gone, status=RunStatus.RUNNING).order_by("created_at", "id")
    if before is not None:
        orphans = orphans.filter(created_at__lt=before)
    if run_ids is not None:
        orphans = orphans.filter(id__in=list(run_ids))
    return orphans


def _batches(orphans: Any) -> Iterator[list[Run]]:
    """The orphans in their order, by their ids first: some thousands of them are not held in memory at once."""
    ids = list(orphans.values_list("id", flat=True))
    for start in range(0, len(ids), BATCH):
        found = orphans.defer("kwargs", "metadata", "base").in_bulk(ids[start : start + BATCH])
        yield [found[run_id] for run_id in ids[start : start + BATCH] if run_id in found]


def _settle(batch: list[Run], report: Report, *, action: str, dry_run: bool) -> None:
    resumed = [run for run in batch if _resumes(run, action)]
    failed = [run for run in batch if run not in resumed]
    done: set[UUID] = set()
    if resumed and not dry_run:
        try:
            done, _ = requeue_orphans(resumed)
        except Exception as error:
            logger.warning(
                "%s runs could not be recovered together, trying one by one: %s", len(resumed), error
            )
    for run in resumed:
        if run.id in done:
            report.requeued.append(str(run.id))
        else:
            _settle_one(run, report, resume=True, dry_run=dry_run)
    for run in failed:
        _settle_one(run, report, resume=False, dry_run=dry_run)


def _settle_one(run: Run, report: Report, *, resume: bool, dry_run: bool) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            done = True if dry_run else settle_orphan(run, resume=resume)
            break
        except ThreadLocked:
            if attempt < TRIES:
                time.sleep(PAUSE)
                continue
            report.unsettled.append(str(run.id))
            return
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
    if action == "auto":
        return run.resumable
    return action == "resume" and run.lost_attempts + 1 < settings.MAX_ATTEMPTS


def requeue_orphans(runs: Sequence[Run]) -> tuple[set[UUID], set[UUID]]:
    """Put orphans back, in one transaction; return those, and those whose threads somebody has locked.

    Locking the threads makes writers of the old epochs finish or fail first; the new epochs refuse them from then on.
    """
    now = clock.now()
    of_thread = {run.thread_id: run for run in runs}
    with transaction.atomic():
        every = Thread.objects.filter(id__in=list(of_thread))
        threads = list(every.order_by("id").select_for_update(skip_locked=True).only("id", "epoch"))
        locked: set[UUID] = set()
        if len(threads) < len(of_thread):
            others = every.exclude(id__in=[thread.id for thread in threads])
            locked = {of_thread[thread_id].id for thread_id in others.values_list("id", flat=True)}
        owned = [run for thread in threads if (run := of_thread[thread.id]).epoch == thread.epoch]
        running = Run.objects.filter(id__in=[run.id for run in owned], status=RunStatus.RUNNING)
        requeued = set(running.values_list("id", flat=True))
        charged = {run.id for run in owned if not run.cancel_action} & requeued
        for ids, lost in ((charged, True), (requeued - charged, False)):
            if ids:
                Run.objects.filter(id__in=ids).requeue_all(now=now, lost=lost)
        taken_over = [run.thread_id for run in owned if run.id in requeued]
        Thread.objects.filter(id__in=taken_over).update(epoch=F("epoch") + 1, updated_at=now)
    return requeued, locked


def settle_orphan(run: Run, *, resume: bool) -> bool:
    """Put one orphan back or fail it, in one transaction; return False if somebody else settled it meanwhile.

    Raises ThreadLocked rather than to wait, so that one thread holds up no other one's orphan.
    """
    if not resume:
        return fail_orphan(run)
    requeued, locked = requeue_orphans([run])
    if locked:
        raise ThreadLocked
    return run.id in requeued


def fail_orphan(run: Run) -> bool:
    """End an orphan in an error; like `settle_orphan`."""
    now = clock.now()
    with transaction.atomic():
        every = Thread.objects.filter(id=run.thread_id)
        thread = every.select_for_update(skip_locked=True).first()
        if thread is None and every.exists():
            raise ThreadLocked
        if thread is None or thread.epoch != run.epoch:
            return False
        epoch = thread.epoch + 1
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
    newer = Q(created_at__gt=run.created_at) | Q(created_at=run.created_at, id__gt=run.id)
    changes: dict[str, Any] = {"updated_at": now, **expiry.extended(thread, now=now)}
    if not others.filter(newer, status__in=TERMINAL).exists():
        rest = {"resting_status": ThreadStatus.ERROR, "error": error}
        changes |= {**rest, "interrupts": waiting_questions(thread)}
    if others.in_flight().exists():
        changes["status"] = ThreadStatus.BUSY
    else:
        changes["status"] = changes.get("resting_status", thread.resting_status)
        if run.temporary:
            changes["discarded_at"] = now
    Thread.objects.filter(id=thread.id).update(**changes)


async def recover_at_startup(manager: RunManager) -> None:
    """Settle the orphans of earlier processes before the first request is served.

    More than fit into the budget are left for the sweep, so that the API is ready at once.
    """
    await in_database(reconcile, sole=True, worker_id=manager.worker_id, budget=STARTUP_BUDGET)


def parse_before(text: str, *, now: datetime | None = None) -> datetime:
    """Read an ISO time, or an age such as `90s`, `30m`, `2h`, `1d`. Raises ValueError."""
    now = now or clock.now()
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
