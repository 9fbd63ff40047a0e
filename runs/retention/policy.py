"""Retention: removes data that has expired, in a pass that the sweep and `manage.py prune` share.

Each step of a pass is one short transaction on few rows, followed by a rest. No step waits for a
locked thread, and only the steps on expired threads lock rows that claims or admissions need.
Concurrent passes are harmless.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, QuerySet

from runs import deletion
from runs.conf import settings
from runs.deletion import ROWS, THREADS, Step, turn
from runs.models import Assistant, Run, RunEvent, Worker
from runs.requests.idempotency import forgotten
from runs.retention.expired import ended_before, old_events, old_runs, removable
from runs.webhooks import outbox
from threads.checkpoints import CheckpointStorage
from threads.checkpoints.pruning import Pruning
from threads.db import clock
from threads.db.errors import is_passing
from threads.expiry import expired
from threads.models import StateEdit, Thread, TtlStrategy
from threads.store.writes import overdue

logger = logging.getLogger(__name__)

#: How long the row of a worker that has stopped is kept, in days.
WORKER_DAYS = 7
#: Hours after which a thread is retried whose checkpoints could not be pruned.
TRY_AGAIN_HOURS = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """What a pass removes, in addition to expired items and leftover rows."""

    #: Events of runs that ended before this time; None for none.
    events_before: datetime | None = None
    #: Runs that ended before this time; None for none.
    runs_before: datetime | None = None
    #: Whether to remove expired threads.
    threads: bool = True
    #: Webhooks that were delivered or abandoned before this time; None for none.
    webhooks_before: datetime | None = None
    #: Largest number of rows in one transaction.
    rows: int = ROWS

    @classmethod
    def of_settings(cls) -> Policy:
        return cls(
            _ago(settings.EVENT_RETENTION),
            _ago(settings.RUN_RETENTION),
            webhooks_before=_ago(settings.WEBHOOK_RETENTION),
        )


def _ago(seconds: float) -> datetime | None:
    return clock.now() - timedelta(seconds=seconds) if seconds > 0 else None


@dataclass(slots=True)
class Report:
    """What a pass has removed, or what a dry run finds."""

    dry_run: bool = False
    #: Includes the events of removed runs and threads; a dry run does not count those of threads.
    events: int = 0
    runs: int = 0
    #: Expired threads that were deleted, and those that were trimmed to their present state.
    threads_deleted: int = 0
    threads_trimmed: int = 0
    #: Threads of stateless runs, and other threads whose removal had been interrupted.
    threads_discarded: int = 0
    #: Expired threads that could not be pruned; logged, and retried later.
    threads_failed: int = 0
    #: Rows of checkpoints, values and writes of removed threads; rows of checkpoints and values of trimmed
    #: ones.
    checkpoint_rows: int = 0
    #: Items of the store that have expired.
    store_items: int = 0
    #: Rows of workers that stopped long ago.
    workers: int = 0
    #: Rows of deleted assistants to which no run refers any more.
    assistants: int = 0
    #: Webhooks that were delivered or abandoned long ago.
    webhooks: int = 0
    #: Clients' Idempotency-Keys that are forgotten.
    keys: int = 0
    #: False when the time limit was reached before everything was done.
    complete: bool = True
    duration_s: float = 0.0

    def add(self, step: Step) -> None:
        kind, count = step
        setattr(self, kind, getattr(self, kind) + count)


async def sweep(storage: CheckpointStorage) -> Report:
    """Remove the data that has expired by the settings."""
    began = time.monotonic()
    report = Report()
    for step in await deletion.in_turns(steps(Policy.of_settings(), storage.pruning())):
        report.add(step)
    report.duration_s = round(time.monotonic() - began, 3)
    return report


def prune(
    policy: Policy,
    pruning: Pruning,
    *,
    max_seconds: float | None = None,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Remove what a policy says, and return when it is done, or after the step in progress at
    `max_seconds`.
    """
    began = time.monotonic()
    report = Report()
    at = began
    for step in steps(policy, pruning):
        report.add(step)
        now = time.monotonic()
        report.duration_s = round(now - began, 3)
        progress(report)
        if max_seconds is not None and now - began >= max_seconds:
            report.complete = False
            break
        time.sleep(deletion.rest_after(now - at))
        at = time.monotonic()
    report.duration_s = round(time.monotonic() - began, 3)
    return report


def survey(policy: Policy) -> Report:
    """A dry run: count what a pass would remove now. The events, runs and checkpoints of threads
    are not counted.
    """
    began, now = time.monotonic(), clock.now()
    report = Report(dry_run=True)
    if policy.threads:
        report.threads_deleted = due(now, TtlStrategy.DELETE).count()
        report.threads_trimmed = due(now, TtlStrategy.KEEP_LATEST).count()
    report.threads_discarded = deletion.overdue(now).count()
    if policy.runs_before is not None:
        report.runs = removable(policy.runs_before).count()
    if policy.events_before is not None:
        report.events = RunEvent.objects.filter(run__in=ended_before(policy.events_before)).count()
    report.store_items = overdue(now).count()
    if policy.webhooks_before is not None:
        report.webhooks = outbox.old(policy.webhooks_before).count()
    report.workers = old_workers(now).count()
    report.keys = forgotten().count()
    report.assistants = unnamed_assistants(now).count()
    report.duration_s = round(time.monotonic() - began, 3)
    return report


def steps(policy: Policy, pruning: Pruning) -> Iterator[Step]:
    """All steps of a policy; each `next` is one transaction."""
    if policy.threads:
        yield from _delete_expired(pruning, policy.rows)
        yield from _trim_expired(pruning, policy.rows)
    yield from deletion.discarded(pruning, rows=policy.rows)
    if policy.runs_before is not None:
        yield from old_runs(policy.runs_before, rows=policy.rows)
    if policy.events_before is not None:
        yield from old_events(policy.events_before, rows=policy.rows)
    yield from deletion.expired_items(rows=policy.rows)
    if policy.webhooks_before is not None:
        yield from outbox.removal(policy.webhooks_before)
    yield from _stopped_workers()
    yield from _forgotten_keys(policy.rows)
    yield from _deleted_assistants()


# --- expired threads


def due(now: datetime, strategy: TtlStrategy) -> QuerySet[Thread]:
    """Expired threads without a run in flight."""
    in_flight = Run.objects.in_flight().filter(thread=OuterRef("pk"))
    return Thread.objects.filter(expired(now), ~Exists(in_flight), ttl_strategy=strategy)


def _delete_expired(pruning: Pruning, rows: int) -> Iterator[Step]:
    while thread_ids := _hide_expired():
        yield from deletion.remove_threads(thread_ids, pruning, rows=rows, kind="threads_deleted")


def _hide_expired() -> list[UUID]:
    """Discard expired threads in one transaction: from then on they are hidden, and nothing is
    added to them.

    The lock decides between an expiry and a concurrent admission, because both lock the thread. A
    locked thread is left for the next pass.
    """
    now = clock.now()
    with turn():
        free = due(now, TtlStrategy.DELETE).order_by("expires_at").select_for_update(skip_locked=True)
        locked = list(free.values_list("id", flat=True)[:THREADS])
        # Checked again, because a run may have been admitted between the query and the lock.
        busy = set(Run.objects.in_flight().filter(thread__in=locked).values_list("thread_id", flat=True))
        thread_ids = [thread_id for thread_id in locked if thread_id not in busy]
        Thread.objects.filter(id__in=thread_ids).update(
            discarded_at=now, expires_at=None, epoch=F("epoch") + 1
        )
    return thread_ids


def _trim_expired(pruning: Pruning, rows: int) -> Iterator[Step]:
    now = clock.now()
    for page in deletion.pages(due(now, TtlStrategy.KEEP_LATEST), "expires_at"):
        for thread_id in page:
            try:
                yield from _trim(thread_id, pruning, rows, now)
            except Exception as error:
                if is_passing(error):
                    raise
                logger.exception("The past of thread %s could not be pruned; it is retried.", thread_id)
                Thread.objects.filter(expired(now), id=thread_id).update(
                    expires_at=now + timedelta(hours=TRY_AGAIN_HOURS)
                )
                yield "threads_failed", 1


def _trim(thread_id: UUID, pruning: Pruning, rows: int, now: datetime) -> Iterator[Step]:
    """Delete an expired thread's past; the thread is no longer expired after the last step."""
    overdue = Thread.objects.filter(expired(now), id=thread_id, ttl_strategy=TtlStrategy.KEEP_LATEST)
    return trim(overdue.select_for_update(skip_locked=True), pruning, rows=rows, expires_at=None)


def trim(one: QuerySet[Thread], pruning: Pruning, *, rows: int, **changes: Any) -> Iterator[Step]:
    """Delete a thread's past in steps, each under the thread's lock, until it is done or a run is
    in flight.

    Args:
        one: The query that locks the thread, if it must still be trimmed.
        changes: Other changes to the thread with the last step.
    """
    deleted = 1
    while deleted:
        with turn():
            locked = one.only("id").first()
            if locked is None or Run.objects.in_flight().filter(thread=locked).exists():
                return
            # A checkpoint has several writes.
            deleted = pruning.keep_latest(locked.id, limit=max(1, rows // 5))
            Thread.objects.filter(id=locked.id).update(epoch=F("epoch") + 1, **({} if deleted else changes))
            if not deleted:
                _forget_edits(locked)
        yield ("checkpoint_rows", deleted) if deleted else ("threads_trimmed", 1)


def _forget_edits(thread: Thread) -> None:
    """Delete all edits except the last one, because the checkpoints of the others were deleted."""
    edits = StateEdit.objects.filter(thread=thread)
    last = edits.order_by("-epoch").values_list("epoch", flat=True).first()
    if last is not None:
        edits.filter(epoch__lt=last).delete()


# --- workers


def old_workers(now: datetime) -> QuerySet[Worker]:
    """Workers that stopped long ago, and to which no run refers."""
    before = now - timedelta(days=WORKER_DAYS)
    return Worker.objects.filter(~Exists(Run.objects.filter(worker=OuterRef("pk"))), stopped_at__lt=before)


def _stopped_workers() -> Iterator[Step]:
    count = THREADS
    while count == THREADS:
        with turn():
            worker_ids = list(old_workers(clock.now()).values_list("id", flat=True)[:THREADS])
            count, _ = Worker.objects.filter(id__in=worker_ids).delete()
        if count:
            yield "workers", count


# --- keys of repeated requests


def _forgotten_keys(rows: int) -> Iterator[Step]:
    while ids := list(forgotten().values_list("id", flat=True)[:rows]):
        with turn():
            count, _ = forgotten().filter(id__in=ids).delete()
        yield "keys", count


# --- assistants


def unnamed_assistants(now: datetime) -> QuerySet[Assistant]:
    """Assistants to which no run refers, deleted so long ago that no admission of theirs can be in
    progress.
    """
    named = Exists(Run.objects.filter(assistant=OuterRef("pk")))
    before = now - timedelta(seconds=deletion.DISCARD_AFTER)
    return Assistant.objects.deleted().filter(~named, deleted_at__lt=before)


def _deleted_assistants() -> Iterator[Step]:
    count = THREADS
    while count == THREADS:
        with turn():
            # Locked, because their users may be creating them again at this moment.
            found = unnamed_assistants(clock.now()).select_for_update(skip_locked=True, of=("self",))
            assistant_ids = list(found.values_list("id", flat=True)[:THREADS])
            count, _ = Assistant.objects.filter(id__in=assistant_ids).delete()
        if count:
            yield "assistants", count
