"""Writing down what became of an attempt, in one transaction, only as the run's owner."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError, transaction

from runs import event_store
from runs.event_store import Part
from runs.exceptions import RunLost
from runs.housekeeping import remove_run
from runs.models import Run, RunStatus
from runs.outcomes import Ending, Outcome, result_of
from runs.streams import RunStream
from runs.webhooks import announcements
from threads import clock, expiry, statements
from threads.checkpoints import Fenced
from threads.database import in_database
from threads.models import Thread, ThreadStatus

if TYPE_CHECKING:
    from runs.execution import Execution

logger = logging.getLogger(__name__)

STATUS = {
    Ending.SUCCESS: RunStatus.SUCCESS,
    Ending.ERROR: RunStatus.ERROR,
    Ending.TIMEOUT: RunStatus.TIMEOUT,
    Ending.INTERRUPTED: RunStatus.INTERRUPTED,
}

#: How long a final status is tried to be written while the database is unavailable, in seconds.
SETTLE_SECONDS = 20.0
OTHERS_IN_FLIGHT = "thread_id = %s AND id <> %s AND status IN ('pending', 'running')"


async def settle_outcome(execution: Execution, outcome: Outcome, stream: RunStream) -> tuple[bool, bool]:
    """Write an outcome, trying again while the database is unavailable.

    Returns whether the run is final, and whether other runs wait on its thread. What cannot be written is logged with
    the run's id, and recovery settles it later.
    """
    run = execution.run
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + SETTLE_SECONDS, 0.05
    part, shown = stream.with_last(outcome.events)
    count = stream.count + len(shown)
    while True:
        try:
            if outcome.ending is Ending.LOST:
                raise RunLost
            if outcome.ending is Ending.ROLLED_BACK:
                await execution.roll_back(outcome)
            busy = await in_database(settle, run, outcome, part, event_count=count)
        except (RunLost, Fenced):
            logger.warning(
                "Run %s was taken over or deleted; this process writes nothing more of it.", run.id
            )
            return False, False
        except (OperationalError, InterfaceError) as error:
            if clock() > deadline:
                logger.error(
                    "Run %s: its status could not be written; recovery settles it: %s", run.id, error
                )
                return False, False
            logger.warning("Run %s: its status could not be written, trying again: %s", run.id, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)
        except Exception:
            logger.exception("Run %s: its status could not be written; recovery settles it.", run.id)
            return False, False
        else:
            stream.show(shown)
            stream.result = result_of(outcome)
            return outcome.ending is not Ending.DRAINED, busy


def settle(run: Run, outcome: Outcome, part: Part, *, event_count: int) -> bool:
    """Write the final status, the last events, and what the run leaves on its thread.

    Args:
        part: The events that the log does not have yet.
        event_count: All events of this attempt.

    A run that a shutdown stopped goes back to `pending` instead, and one that was rolled back is deleted.

    Returns whether other runs wait on the thread. Raises RunLost if this process does not own the run any more; nothing is written then.
    """
    now = clock.now()
    busy = False
    with transaction.atomic():
        thread = statements.get(Thread, {"id": run.thread_id, "epoch": run.epoch}, lock=True)
        if thread is None:
            raise RunLost
        if outcome.ending is not Ending.ROLLED_BACK and part.events:
            event_store.insert([part], now=now)
        if outcome.ending is Ending.DRAINED:
            # The epoch ends here: nothing that this process still does can reach the thread.
            written = Run.objects.requeue(run.id, epoch=run.epoch, now=now, lost=outcome.charged)
            Thread.objects.filter(id=thread.id).update(epoch=thread.epoch + 1, updated_at=now)
        elif outcome.ending is Ending.ROLLED_BACK:
            written = Run.objects.filter(id=run.id, epoch=run.epoch, status=RunStatus.RUNNING).exists()
            remove_run(run.id)
            # An event on its way to the log cannot follow what is gone.
            Thread.objects.filter(id=thread.id).update(epoch=thread.epoch + 1)
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
        if outcome.ending is not Ending.DRAINED:
            # A rolled-back run ends as one that was cancelled.
            status = STATUS.get(outcome.ending, RunStatus.INTERRUPTED)
            announcements.announce(run, status=status, now=now, error=outcome.error, values=outcome.values)
        return busy


def _leave(thread: Thread, run: Run, outcome: Outcome, now: datetime) -> bool:
    """Write down the thread after the run; return whether other runs wait on it."""
    busy = statements.exists(Run, OTHERS_IN_FLIGHT, {"thread_id": thread.id, "id": run.id})
    rest = thread.resting_status
    if outcome.ending is not Ending.ROLLED_BACK:
        rest = outcome.thread_status()
    changes: dict[str, Any] = {
        "status": ThreadStatus.BUSY if busy else rest,
        "resting_status": rest,
        "error": thread.error if outcome.ending is Ending.ROLLED_BACK else outcome.error,
        "updated_at": now,
        **expiry.extended(thread, now=now),
    }
    if outcome.interrupts is not None:
        changes["interrupts"] = outcome.interrupts
    if outcome.values is not None:
        changes |= {"values": outcome.values, "state_updated_at": now}
    if run.temporary and not busy:
        changes["discarded_at"] = now
    statements.update(Thread, changes, {"id": thread.id})
    return busy
