"""Rows that nothing needs any more: stopped workers, ended bulk actions, records, deleted assistants, old keys and
tickets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from runs import deletion
from runs.deletion import THREADS, Step, turn
from runs.models import Assistant, BulkAction, BulkTarget, Run, RunAction, SiteAction, SocketTicket, Worker
from runs.requests.idempotency import forgotten
from threads.db import clock
from threads.db.ids import first_id

#: How long the row of a worker that has stopped is kept, and a bulk action that has ended or a removal's record,
#: in days.
WORKER_DAYS, BULK_DAYS = 7, 90


def old_workers(now: datetime) -> QuerySet[Worker]:
    """Workers that stopped long ago, and to which no run refers."""
    before = now - timedelta(days=WORKER_DAYS)
    return Worker.objects.filter(~Exists(Run.objects.filter(worker=OuterRef("pk"))), stopped_at__lt=before)


def stopped_workers() -> Iterator[Step]:
    count = THREADS
    while count == THREADS:
        with turn():
            worker_ids = list(old_workers(clock.now()).values_list("id", flat=True)[:THREADS])
            count, _ = Worker.objects.filter(id__in=worker_ids).delete()
        if count:
            yield "workers", count


def old_bulk_actions(now: datetime) -> QuerySet[BulkAction]:
    return BulkAction.objects.filter(ended_at__lt=now - timedelta(days=BULK_DAYS))


def ended_bulk_actions() -> Iterator[Step]:
    count = THREADS
    while count == THREADS:
        with turn():
            ids = list(old_bulk_actions(clock.now()).values_list("id", flat=True)[:THREADS])
            # Each has a bounded number of refusals.
            BulkTarget.objects.filter(bulk__in=ids).delete()
            BulkAction.objects.filter(id__in=ids).delete()
            count = len(ids)
        if count:
            yield "bulk_actions", count


def old_removals(now: datetime) -> QuerySet[RunAction]:
    """Records of runs that were rolled back or deleted long ago."""
    before = now - timedelta(days=BULK_DAYS)
    return RunAction.objects.filter(thread_id__isnull=False, id__lt=first_id(before))


def old_site_actions(now: datetime) -> QuerySet[SiteAction]:
    return SiteAction.objects.filter(id__lt=first_id(now - timedelta(days=BULK_DAYS)))


def old_records(*, rows: int) -> Iterator[Step]:
    count = rows
    while count == rows:
        with turn():
            ids = list(old_removals(clock.now()).values_list("id", flat=True)[:rows])
            count = RunAction.objects.filter(id__in=ids)._raw_delete("default")
        if count:
            yield "records", count
    with turn():
        # People make few of them.
        count, _ = old_site_actions(clock.now()).delete()
    if count:
        yield "records", count


def unnamed_assistants(now: datetime) -> QuerySet[Assistant]:
    """Assistants to which no run refers, deleted so long ago that no admission of theirs can be in
    progress.
    """
    named = Exists(Run.objects.filter(assistant=OuterRef("pk")))
    before = now - timedelta(seconds=deletion.DISCARD_AFTER)
    return Assistant.objects.deleted().filter(~named, deleted_at__lt=before)


def deleted_assistants() -> Iterator[Step]:
    count = THREADS
    while count == THREADS:
        with turn():
            # Locked, because their users may be creating them again at this moment.
            found = unnamed_assistants(clock.now()).select_for_update(skip_locked=True, of=("self",))
            assistant_ids = list(found.values_list("id", flat=True)[:THREADS])
            count, _ = Assistant.objects.filter(id__in=assistant_ids).delete()
        if count:
            yield "assistants", count


def forgotten_keys(rows: int) -> Iterator[Step]:
    while ids := list(forgotten().values_list("id", flat=True)[:rows]):
        with turn():
            count, _ = forgotten().filter(id__in=ids).delete()
        yield "keys", count


def expired_tickets(now: datetime) -> QuerySet[SocketTicket]:
    return SocketTicket.objects.filter(expires_at__lte=now)


def old_tickets(*, rows: int) -> Iterator[Step]:
    count = rows
    while count == rows:
        with turn():
            digests = list(expired_tickets(clock.now()).values_list("digest", flat=True)[:rows])
            count, _ = SocketTicket.objects.filter(digest__in=digests).delete()
        if count:
            yield "tickets", count
