"""Claiming: giving pending runs to a worker, at most one run per thread."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from runs.models import Run
from threads.models import Thread


def claim(worker_id: UUID, *, limit: int) -> list[Run]:
    """Claim up to `limit` due runs, in one transaction that locks their threads.

    Threads that somebody else has locked are left out rather than waited for: a busy thread hides no other one's run.
    """
    now = timezone.now()
    with transaction.atomic():
        due = list(Run.objects.claimable(now).values_list("thread_id", flat=True)[:limit])
        if not due:
            return []
        free = Thread.objects.filter(id__in=due).order_by("id").select_for_update(skip_locked=True)
        epochs = {thread.id: thread.epoch + 1 for thread in free.only("id", "epoch")}
        # Looked at again: between the first look and the lock another worker may have claimed on the same thread.
        runs = list(Run.objects.claimable(now).filter(thread__in=list(epochs)).select_related("assistant"))
        claimed = []
        for run in runs:
            epoch = epochs[run.thread_id]
            if Run.objects.claim(run.id, worker_id=worker_id, epoch=epoch, now=now):
                Thread.objects.filter(id=run.thread_id).update(epoch=epoch)
                run.epoch, run.attempt = epoch, run.attempt + 1
                claimed.append(run)
        return claimed


def owned(worker_id: UUID) -> dict[UUID, tuple[int, str]]:
    """The running runs of a worker: their epochs, and how somebody asked to cancel them."""
    rows = Run.objects.owned_by([worker_id]).values_list("id", "epoch", "cancel_action")
    return {run_id: (epoch, action) for run_id, epoch, action in rows}
