"""Removing what nobody needs any more."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from runs.models import Run, RunEvent
from threads.checkpoints import CheckpointStorage
from threads.database import in_database
from threads.models import Thread

#: How long a finished stateless run's thread is kept for readers who reconnect, in seconds.
DISCARD_AFTER = 120.0
BATCH = 100


async def remove_discarded(storage: CheckpointStorage) -> int:
    """Remove threads of stateless runs that ended a while ago; return how many."""
    thread_ids = await in_database(_discarded)
    if thread_ids:
        await storage.delete_threads(thread_ids)
        await in_database(remove_threads, thread_ids)
    return len(thread_ids)


def _discarded() -> list[UUID]:
    before = timezone.now() - timedelta(seconds=DISCARD_AFTER)
    return list(Thread.objects.filter(discarded_at__lt=before).values_list("id", flat=True)[:BATCH])


def remove_threads(thread_ids: list[UUID]) -> None:
    """Delete threads with their runs and events; their checkpoints are the storage's."""
    RunEvent.objects.filter(run__thread__in=thread_ids).delete()
    Run.objects.filter(thread__in=thread_ids).delete()
    Thread.objects.filter(id__in=thread_ids).delete()


def remove_run(run_id: UUID) -> None:
    """Delete a run with its events; its checkpoints are the storage's."""
    RunEvent.objects.filter(run_id=run_id).delete()
    Run.objects.filter(id=run_id).delete()
