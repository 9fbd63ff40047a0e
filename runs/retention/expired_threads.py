"""Threads whose time to live is over: deleted, or trimmed to their present state."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, F, OuterRef, QuerySet

from runs import deletion
from runs.deletion import THREADS, Step, turn
from runs.models import Run
from runs.retention.discarding import discard
from threads.checkpoints.pruning import Pruning
from threads.db import clock
from threads.db.errors import is_passing
from threads.expiry import expired
from threads.models import StateEdit, Thread, TtlStrategy

logger = logging.getLogger(__name__)

#: Hours after which a thread is retried whose checkpoints could not be pruned.
TRY_AGAIN_HOURS = 1


def due(now: datetime, strategy: TtlStrategy) -> QuerySet[Thread]:
    """Expired threads without a run in flight."""
    in_flight = Run.objects.in_flight().filter(thread=OuterRef("pk"))
    return Thread.objects.filter(expired(now), ~Exists(in_flight), ttl_strategy=strategy)


def delete_expired(pruning: Pruning, rows: int) -> Iterator[Step]:
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
        discard(thread_ids, now=now)
    return thread_ids


def trim_expired(pruning: Pruning, rows: int) -> Iterator[Step]:
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
