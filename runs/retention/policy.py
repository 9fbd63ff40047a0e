"""Retention: removes data that has expired, in a pass that the sweep and `manage.py prune` share.

Each step of a pass is one short transaction on few rows, followed by a rest. No step waits for a
locked thread, and only the steps on expired threads lock rows that claims or admissions need.
Concurrent passes are harmless.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from runs import deletion
from runs.conf import settings
from runs.deletion import ROWS, Step
from runs.models import DeletedRun, RunEvent
from runs.requests.idempotency import forgotten
from runs.retention import expired_threads, leftovers, users
from runs.retention.erasures import unfinished
from runs.retention.old_runs import ended_before, old_events, old_runs, removable
from runs.webhooks import outbox
from threads.checkpoints import CheckpointStorage
from threads.checkpoints.pruning import Pruning
from threads.db import clock
from threads.models import TtlStrategy
from threads.store.writes import overdue


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
    #: Bulk actions of operators that ended long ago.
    bulk_actions: int = 0
    #: Records of runs that were rolled back or deleted long ago, and of what was done with queues, workers and threads.
    records: int = 0
    #: Users whose deletion had been cut off, and rows of theirs that have no count above. A dry run counts
    #: only the users.
    users: int = 0
    user_rows: int = 0
    #: Users who could not be deleted; logged, on record, and retried later.
    users_failed: int = 0
    #: Clients' Idempotency-Keys that are forgotten.
    keys: int = 0
    #: Tickets of websockets that have expired.
    tickets: int = 0
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
        report.threads_deleted = expired_threads.due(now, TtlStrategy.DELETE).count()
        report.threads_trimmed = expired_threads.due(now, TtlStrategy.KEEP_LATEST).count()
    report.threads_discarded = deletion.overdue(now).count()
    report.users = unfinished(now).count()
    if policy.runs_before is not None:
        report.runs = removable(policy.runs_before).count()
    if policy.events_before is not None:
        report.events = RunEvent.objects.filter(run__in=ended_before(policy.events_before)).count()
    report.events += RunEvent.objects.filter(run__in=DeletedRun.objects.values("run_id")).count()
    report.store_items = overdue(now).count()
    if policy.webhooks_before is not None:
        report.webhooks = outbox.old(policy.webhooks_before).count()
    report.workers = leftovers.old_workers(now).count()
    report.bulk_actions = leftovers.old_bulk_actions(now).count()
    report.records = leftovers.old_removals(now).count() + leftovers.old_site_actions(now).count()
    report.assistants = leftovers.unnamed_assistants(now).count()
    report.keys = forgotten().count()
    report.tickets = leftovers.expired_tickets(now).count()
    report.duration_s = round(time.monotonic() - began, 3)
    return report


def steps(policy: Policy, pruning: Pruning) -> Iterator[Step]:
    """All steps of a policy; each `next` is one transaction."""
    if policy.threads:
        yield from expired_threads.delete_expired(pruning, policy.rows)
        yield from expired_threads.trim_expired(pruning, policy.rows)
    yield from deletion.discarded(pruning, rows=policy.rows)
    yield from users.resumed(policy.rows)
    yield from deletion.all_remains(rows=policy.rows)
    if policy.runs_before is not None:
        yield from old_runs(policy.runs_before, rows=policy.rows)
    if policy.events_before is not None:
        yield from old_events(policy.events_before, rows=policy.rows)
    yield from deletion.expired_items(rows=policy.rows)
    if policy.webhooks_before is not None:
        yield from outbox.removal(policy.webhooks_before)
    yield from leftovers.stopped_workers()
    yield from leftovers.ended_bulk_actions()
    yield from leftovers.old_records(rows=policy.rows)
    yield from leftovers.deleted_assistants()
    yield from leftovers.forgotten_keys(policy.rows)
    yield from leftovers.old_tickets(rows=policy.rows)
