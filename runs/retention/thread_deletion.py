"""Deletes threads for their user, or shortens them to their present state."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from uuid import UUID

from django.db import transaction

from runs.conf import settings
from runs.deletion import ROWS, THREADS, Step, parts, remove_threads
from runs.identity.principals import Principal
from runs.lifecycle.records import Operator, record_on_site
from runs.models import Run, RunStatus
from runs.process.current import current
from runs.process.notifications import notify_after_commit
from runs.retention.discarding import discard
from runs.retention.expired_threads import trim
from threads.checkpoints.opening import open_pruning
from threads.checkpoints.pruning import Pruning
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread, TtlStrategy
from threads.models.querysets import Principal as Owner

#: How long a request works on the removal, in seconds; the sweep removes the rest.
PATIENCE = 10.0


async def delete_threads(thread_ids: Collection[UUID], *, principal: Owner) -> list[UUID]:
    """Delete those of the threads that the principal owns, with all their data; return their ids.

    After the first commit they are hidden, and their runs are fenced. Their rows are then removed
    in steps, by the sweep if this process ends.
    """
    hidden = await hide_threads(thread_ids, principal=principal)
    await remove_hidden(hidden)
    return hidden


async def hide_threads(thread_ids: Collection[UUID], *, principal: Owner) -> list[UUID]:
    """Hide those of the threads that the principal owns; return their ids. The sweep removes them."""
    hidden, stopped = await in_database(hide, list(thread_ids), principal=principal)
    runtime = current()
    for run_id in stopped:
        runtime.cancelled(run_id)
    for thread_id in hidden:
        runtime.wakeups.tell(thread_id)
    return hidden


async def remove_hidden(thread_ids: Collection[UUID]) -> None:
    """Remove hidden threads for `PATIENCE` seconds; the sweep removes the rest."""
    await _work(_removal(thread_ids, current().storage.pruning()), until=_deadline())


def _removal(thread_ids: Collection[UUID], pruning: Pruning) -> Iterator[Step]:
    for page in parts(thread_ids, THREADS):
        yield from remove_threads(page, pruning, rows=ROWS, kind="threads_deleted")


def delete_for_operator(threads: Collection[Thread], *, by: Operator) -> dict[str, int]:
    """Delete anyone's threads with all their data, in short transactions, on record; return what was deleted.

    For synchronous code, in a process with or without a runtime.
    """
    counted: dict[str, int] = {}
    pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
    for thread in threads:
        with transaction.atomic():
            hidden, stopped = hide([thread.id], principal=Principal(thread.user_id))
            for thread_id in hidden:
                record_on_site("delete", str(thread_id), by)
        notify_after_commit([*stopped, *hidden])
        for kind, count in remove_threads(hidden, pruning, rows=ROWS, kind="threads"):
            counted[kind] = counted.get(kind, 0) + count
    return counted


async def shorten_threads(thread_ids: Collection[UUID], *, principal: Owner) -> list[UUID]:
    """Delete the past of those of the threads that the principal owns, except threads with a run in
    flight.

    Returns the ids of the threads that are shortened, or that the sweep will shorten because the
    time was over.
    """
    pruning, until = current().storage.pruning(), _deadline()
    done, rest = [], []
    for thread_id in dict.fromkeys(thread_ids):
        steps, ended = await _work(_shorten(thread_id, pruning, principal), until=until)
        if ("threads_trimmed", 1) in steps:
            done.append(thread_id)
        elif not ended:
            rest.append(thread_id)
    return done + (await in_database(_put_off, rest, principal) if rest else [])


def _put_off(thread_ids: Collection[UUID], principal: Owner) -> list[UUID]:
    """Leave threads to the sweep: let them expire now, with the strategy `keep_latest`.

    Threads that another expiry is going to delete are left out, because they would be kept.
    """
    with transaction.atomic():
        owned = Thread.objects.for_principal(principal).visible().filter(id__in=thread_ids)
        kept = owned.exclude(ttl_strategy=TtlStrategy.DELETE, ttl_minutes__isnull=False)
        locked = list(kept.order_by("id").locked().values_list("id", flat=True))
        busy = set(Run.objects.in_flight().filter(thread__in=locked).values_list("thread", flat=True))
        found = [thread_id for thread_id in locked if thread_id not in busy]
        Thread.objects.filter(id__in=found).update(
            expires_at=clock.now(), ttl_strategy=TtlStrategy.KEEP_LATEST
        )
    return found


def _shorten(thread_id: UUID, pruning: Pruning, principal: Owner) -> Iterator[Step]:
    # Executed on a database thread, where the filter of an Auth file must be built.
    owned = Thread.objects.for_principal(principal).visible().filter(id=thread_id)
    yield from trim(owned.locked(), pruning, rows=ROWS)


def hide(
    thread_ids: Collection[UUID], *, principal: Owner, wait: bool = True
) -> tuple[list[UUID], list[UUID]]:
    """Hide threads: end their runs, and fence their writers. Return the threads' ids and those of
    the ended runs.

    Args:
        wait: Whether to wait for threads that other transactions have locked; they are left out
            otherwise.
    """
    now = clock.now()
    with transaction.atomic():
        owned = Thread.objects.for_principal(principal).visible().filter(id__in=thread_ids)
        locked = owned.locked() if wait else owned.select_for_update(of=("self",), skip_locked=True)
        found = list(locked.order_by("id").values_list("id", flat=True))
        stopped = list(
            Run.objects.in_flight().filter(thread__in=found).values_list("id", "status").order_by("id")
        )
        for run_id, status in stopped:
            Run.objects.filter(id=run_id).move(status, RunStatus.INTERRUPTED, now=now)
        discard(found, now=now)
    return found, [run_id for run_id, _ in stopped]


def _deadline() -> float:
    """Until when a request that begins now works on a removal, by the event loop's clock."""
    return asyncio.get_running_loop().time() + PATIENCE


async def _work(steps: Iterator[Step], *, until: float) -> tuple[list[Step], bool]:
    """Execute the steps of a removal until a time; without rests, because a client waits.

    Returns the steps, and whether they were all.
    """
    clock_time = asyncio.get_running_loop().time
    done: list[Step] = []
    while clock_time() < until:
        if (step := await in_database(next, steps, None)) is None:
            return done, True
        done.append(step)
    return done, False
