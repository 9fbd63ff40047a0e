"""Settles orphans: requeues them or ends them in an error, each under its thread's lock and a new
epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from runs.encoding import encode
from runs.events import table
from runs.events.table import Event, Part
from runs.events.usage import logged_columns
from runs.lifecycle import thread_rest
from runs.lifecycle.interrupts import waiting_interrupts
from runs.models import Run, RunStatus
from runs.models.querysets import TERMINAL
from runs.protocols.errors import describe
from runs.webhooks import announcements
from threads.db import clock
from threads.models import Thread


class WorkerLost(Exception):
    """The process that executed a run is gone."""


class ThreadLocked(Exception):
    """Another transaction has locked the thread: a last write of the dead process, or another
    reconciliation.
    """


def requeue_orphans(runs: Sequence[Run], *, charge: bool = True) -> tuple[set[UUID], set[UUID]]:
    """Requeue orphans in one transaction; return the requeued ones, and those whose threads are
    locked.

    The locks wait until writers of the old epochs have finished or failed. The new epochs then
    fence those writers.

    Args:
        charge: Whether this counts as a lost attempt of each run.
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
        if requeued:
            Run.objects.filter(id__in=requeued).requeue_all(now=now, lost=charge)
        taken_over = [run.thread_id for run in owned if run.id in requeued]
        Thread.objects.filter(id__in=taken_over).update(epoch=F("epoch") + 1, updated_at=now)
    return requeued, locked


def settle_orphan(run: Run, *, resume: bool) -> bool:
    """Requeue or fail one orphan in one transaction; return False if it was settled elsewhere
    meanwhile.

    Raises ThreadLocked instead of waiting, so that one locked thread does not delay other orphans.
    """
    if not resume:
        return fail_orphan(run)
    requeued, locked = requeue_orphans([run])
    if locked:
        raise ThreadLocked
    return run.id in requeued


def fail_orphan(run: Run) -> bool:
    """End an orphan in an error. Returns and raises like `settle_orphan`."""
    # Read before anything is locked, because it may be much of the log.
    used = logged_columns(run.id)
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
        table.insert([Part(run.id, run.thread_id, epoch, [last])], now=now)
        if not Run.objects.settle(
            run.id,
            epoch=epoch,
            status=RunStatus.ERROR,
            now=now,
            error=detail,
            event_count=last.seq,
            lost_attempts=run.lost_attempts + 1,
            **used,
        ):
            raise RuntimeError(f"Run {run.id} changed under its thread's lock.")
        announcements.announce(run, status=RunStatus.ERROR, now=now, error=shown)
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
    """Update the thread after a failed orphan. An old orphan never overwrites the outcome of a
    newer run that executed.
    """
    others = Run.objects.filter(thread=thread.id).exclude(id=run.id)
    newer = Q(created_at__gt=run.created_at) | Q(created_at=run.created_at, id__gt=run.id)
    outlived = others.filter(newer, status__in=TERMINAL, attempt__gt=0).exists()
    rest = thread_rest.UNTOUCHED if outlived else thread_rest.lost(error, waiting_interrupts(thread))
    in_flight = others.in_flight().exists()
    changes = thread_rest.after(rest, thread, in_flight=in_flight, now=now, temporary=run.temporary)
    Thread.objects.filter(id=thread.id).update(**changes)
