"""Writing down what became of an attempt, in one transaction, only as the run's owner."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from runs import event_store
from runs.event_store import Part
from runs.exceptions import RunLost
from runs.housekeeping import remove_run
from runs.models import Run, RunStatus
from runs.outcomes import Ending, Outcome
from threads import statements
from threads.models import Thread

STATUS = {
    Ending.SUCCESS: RunStatus.SUCCESS,
    Ending.ERROR: RunStatus.ERROR,
    Ending.TIMEOUT: RunStatus.TIMEOUT,
    Ending.INTERRUPTED: RunStatus.INTERRUPTED,
}

OTHERS_IN_FLIGHT = "thread_id = %s AND id <> %s AND status IN ('pending', 'running')"


def settle(run: Run, outcome: Outcome, part: Part, *, event_count: int) -> bool:
    """Write the final status, the last events, and what the run leaves on its thread.

    Args:
        part: The events that the log does not have yet.
        event_count: All events of this attempt.

    A run that a shutdown stopped goes back to `pending` instead, and one that was rolled back is deleted.

    Returns whether other runs wait on the thread. Raises RunLost if this process does not own the run any more; nothing is written then.
    """
    now = timezone.now()
    busy = False
    with transaction.atomic():
        thread = statements.get(Thread, {"id": run.thread_id, "epoch": run.epoch}, lock=True)
        if thread is None:
            raise RunLost
        if outcome.ending is not Ending.ROLLED_BACK and part.events:
            event_store.insert([part], now=now)
        if outcome.ending is Ending.DRAINED:
            # The epoch ends here: nothing that this process still does can reach the thread.
            written = Run.objects.requeue(run.id, epoch=run.epoch, now=now, lost=False)
            Thread.objects.filter(id=thread.id).update(epoch=thread.epoch + 1, updated_at=now)
        elif outcome.ending is Ending.ROLLED_BACK:
            written = Run.objects.filter(id=run.id, epoch=run.epoch, status=RunStatus.RUNNING).exists()
            remove_run(run.id)
            busy = _leave(thread, run, outcome, now)
        else:
            written = Run.objects.settle(
                run.id,
                epoch=run.epoch,
                status=STATUS[outcome.ending],
                now=now,
                error=outcome.detail,
                event_count=event_count,
                input_tokens=outcome.input_tokens,
                output_tokens=outcome.output_tokens,
            )
            busy = _leave(thread, run, outcome, now)
        if not written:
            raise RunLost
        return busy


def _leave(thread: Thread, run: Run, outcome: Outcome, now: datetime) -> bool:
    """Write down the thread after the run; return whether other runs wait on it."""
    busy = statements.exists(Run, OTHERS_IN_FLIGHT, {"thread_id": thread.id, "id": run.id})
    changes: dict[str, Any] = {
        "status": outcome.thread_status(busy=busy),
        "interrupts": outcome.interrupts,
        "error": outcome.error,
        "updated_at": now,
    }
    if outcome.values is not None:
        changes |= {"values": outcome.values, "state_updated_at": now}
    if run.temporary and not busy:
        changes["discarded_at"] = now
    statements.update(Thread, changes, {"id": thread.id})
    return busy
