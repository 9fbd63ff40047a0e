"""Many runs that nothing executes, written at once: for bulk actions."""

from __future__ import annotations

from runs.lifecycle.operators import queues
from runs.models import Run, RunStatus
from tests.support.rows import make_assistant, make_user
from threads.db import clock
from threads.models import Thread


def seed(count: int, *, status: str = "pending", queue: str = "held") -> None:
    """Runs of one user, each on its thread.

    Args:
        queue: Theirs, which is paused.
    """
    queues.pause(queue, reason="for a test")
    user, assistant, now = make_user(), make_assistant(), clock.now()
    ended = status not in (RunStatus.PENDING, RunStatus.RUNNING)
    threads = Thread.objects.bulk_create(
        Thread(
            user=user, status="error" if ended else "busy", epoch=int(ended), created_at=now, updated_at=now,
            state_updated_at=now,
        )
        for _ in range(count)
    )  # fmt: skip
    Run.objects.bulk_create(
        Run(
            thread=thread, assistant=assistant, user=user, status=status, queue=queue, epoch=thread.epoch,
            attempt=thread.epoch, created_at=now, updated_at=now, due_at=now, finished_at=now if ended else None,
        )
        for thread in threads
    )  # fmt: skip
