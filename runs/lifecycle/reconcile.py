"""Recovery: finds orphans and settles them. Startup, sweep, command and admin share one function;
concurrent calls are harmless.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from runs.conf import settings
from runs.lifecycle import orphan_settlement
from runs.models import Run, RunStatus
from runs.process.dead_workers import FreeLocks, dead_workers
from runs.process.executor_lock import sole_executor
from runs.process.leases import mark_dead
from threads.db import clock
from threads.db.database import in_database
from threads.db.errors import is_passing

logger = logging.getLogger(__name__)

#: Seconds that recovery may take before the first request is served, and in one sweep. The next sweep
#: continues.
STARTUP_BUDGET, SWEEP_BUDGET = 1.0, 2.0
#: Orphans that are requeued in one transaction.
BATCH = 200
#: How often a locked thread is tried, and the pause between two tries in seconds.
TRIES, PAUSE = 5, 0.05
#: Age in seconds after which a worker's own run counts as an orphan if the worker does not execute it.
OWN_GRACE = 10.0


@dataclass(slots=True)
class Report:
    """What a reconciliation found and did, as lists of run ids."""

    dry_run: bool = False
    examined: int = 0
    requeued: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    #: Settled by another process meanwhile.
    skipped: list[str] = field(default_factory=list)
    #: Could not be settled; logged, and tried again next time.
    unsettled: list[str] = field(default_factory=list)
    #: False when some orphans are left: the budget ended, or some could not be settled.
    complete: bool = True
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Caller:
    """The process that reconciles.

    Args:
        sole: Whether it holds SQLite's lock; None to try to take it.
        worker_id: Its worker, if it executes runs.
        executing: The runs that this worker executes; its other runs are orphans too.
        steady: Returns whether that worker's connection was stable (`dead_workers`).
        seen: What it has seen of the locks of other workers.
    """

    sole: bool | None = None
    worker_id: UUID | None = None
    executing: Collection[UUID] = ()
    steady: Callable[[], bool] = lambda: True
    seen: FreeLocks | None = None


#: A process that executes no runs: a command, or the admin.
OUTSIDER = Caller()


def reconcile(
    *,
    action: str = "auto",
    before: datetime | None = None,
    dry_run: bool = False,
    run_ids: Collection[UUID] | None = None,
    budget: float | None = None,
    caller: Caller = OUTSIDER,
) -> Report:
    """Settle the runs that are marked running although their worker is dead.

    Args:
        action: `resume` or `error` for all runs, or `auto` for the run's or the site's policy. The
            number of lost attempts is bounded in any case.
        before: Only runs created before this time.
        run_ids: Only these runs.
        budget: Stop after this many seconds; the rest is left for the next call.
    """
    began = time.monotonic()
    report = Report(dry_run=dry_run)
    tries = caller.sole is None and connection.vendor != "postgresql"
    lock = sole_executor() if tries else nullcontext(bool(caller.sole))
    with lock as alone:
        dead = dead_workers(sole=alone, own=caller.worker_id, steady=caller.steady, seen=caller.seen)
        dead = [each for each in dead if each != caller.worker_id]
        found = _orphans(dead, before=before, run_ids=run_ids, caller=caller)
        for batch in _batches(found):
            if budget is not None and time.monotonic() - began > budget:
                report.complete = False
                break
            report.examined += len(batch)
            _settle(batch, report, action=action, dry_run=dry_run)
        if report.unsettled:
            report.complete = False
        if report.complete and not dry_run and before is None and run_ids is None:
            mark_dead(dead)
    report.duration_s = round(time.monotonic() - began, 3)
    if report.examined and not dry_run:
        logger.info(
            "Reconciled %s orphaned runs: %s requeued, %s failed, %s unsettled.",
            report.examined, len(report.requeued), len(report.failed), len(report.unsettled),
        )  # fmt: skip
    return report


def _orphans(
    dead: Collection[UUID],
    *,
    before: datetime | None,
    run_ids: Collection[UUID] | None,
    caller: Caller,
) -> Any:
    gone = Q(worker__in=dead) | Q(worker__stopped_at__isnull=False) | Q(worker__isnull=True)
    if (worker_id := caller.worker_id) is not None:
        # A run that was claimed a moment ago may not be among `executing` yet.
        old = Q(updated_at__lt=clock.now() - timedelta(seconds=OWN_GRACE))
        gone = (gone & ~Q(worker=worker_id)) | (Q(worker=worker_id) & ~Q(id__in=list(caller.executing)) & old)
    lost = Run.objects.filter(gone, status=RunStatus.RUNNING).order_by("created_at", "id")
    if before is not None:
        lost = lost.filter(created_at__lt=before)
    if run_ids is not None:
        lost = lost.filter(id__in=list(run_ids))
    return lost


def _batches(lost: Any) -> Iterator[list[Run]]:
    """The orphans in order. Their ids are read first, so that thousands of rows are not in memory
    at once.
    """
    ids = list(lost.values_list("id", flat=True))
    for start in range(0, len(ids), BATCH):
        found = lost.defer("kwargs", "metadata", "base").in_bulk(ids[start : start + BATCH])
        yield [found[run_id] for run_id in ids[start : start + BATCH] if run_id in found]


def _settle(batch: list[Run], report: Report, *, action: str, dry_run: bool) -> None:
    resumed = [run for run in batch if _resumes(run, action)]
    failed = [run for run in batch if run not in resumed]
    done: set[UUID] = set()
    if resumed and not dry_run:
        try:
            done, _ = orphan_settlement.requeue_orphans(resumed)
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
            done = True if dry_run else orphan_settlement.settle_orphan(run, resume=resume)
            break
        except orphan_settlement.ThreadLocked:
            if attempt < TRIES:
                time.sleep(PAUSE)
                continue
            report.unsettled.append(str(run.id))
            return
        except Exception as error:
            if is_passing(error):
                logger.warning("Run %s could not be recovered, trying again: %s", run.id, error)
            else:
                logger.exception("Run %s could not be recovered; it is tried again.", run.id)
            report.unsettled.append(str(run.id))
            return
    listed = (report.requeued if resume else report.failed) if done else report.skipped
    listed.append(str(run.id))


def _resumes(run: Run, action: str) -> bool:
    if run.cancel_action:
        # The next worker that claims it finishes the cancellation without executing anything; after too many
        # losses also without opening its graph (`Run.poisonous`).
        return True
    if action == "auto":
        return run.resumable
    return action == "resume" and run.lost_attempts + 1 < settings.MAX_ATTEMPTS


async def recover_at_startup(worker_id: UUID) -> None:
    """Settle the orphans of earlier processes before the first request is served.

    Orphans beyond the budget are left for the sweep, so that the API starts quickly.
    """
    await in_database(reconcile, caller=Caller(sole=True, worker_id=worker_id), budget=STARTUP_BUDGET)


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
