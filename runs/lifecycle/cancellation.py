"""Cancelling and deleting runs.

A cancel is written to the run's row first, and the first request wins. How it reaches the executing task:
row → wake-up (`runs.process.wakeups`) → `CancelWatch` of the worker (`runs.worker.cancel_watch`) →
`Execution.stop` (`runs.execution.attempt`), which cancels the task once. A run that is pending ends in the
same transaction.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from uuid import UUID

from django.db import transaction

from runs.deletion import in_turns, remains, remove_run
from runs.events.endings import last_position
from runs.events.usage import logged_columns
from runs.exceptions import NotFound, NothingToCancel
from runs.lifecycle import thread_rest
from runs.lifecycle.interrupts import waiting_interrupts
from runs.lifecycle.records import caller, record
from runs.lifecycle.thread_rest import UNTOUCHED, Rest, cut_off
from runs.models import CancelAction, Run, RunStatus
from runs.process.current import current
from runs.states.refresh import refresh_state
from runs.webhooks import announcements
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread
from threads.models.querysets import Principal


class Outcome(Enum):
    #: The owner was asked to stop the run.
    ASKED = "asked"
    #: It had not started, and is `interrupted` now.
    ENDED = "ended"
    #: It had not started, and is deleted now.
    REMOVED = "removed"


ASKED, ENDED, REMOVED = Outcome
WORDS = {
    ASKED: "asked to stop",
    ENDED: "cancelled before it was executing",
    REMOVED: "removed before it began",
}


async def cancel_run(
    run_id: UUID, *, thread_id: UUID | None, principal: Principal, action: str, reason: str = ""
) -> None:
    """Cancel a pending run at once, or ask the owner of a running one to stop it.

    Raises NothingToCancel when there is no such run, or it is already final.
    """
    outcome = await in_database(
        cancel, run_id, thread_id=thread_id, principal=principal, action=action, reason=reason
    )
    current().cancelled(run_id)
    if thread_id is not None:
        if outcome is ENDED:
            await refresh_state(thread_id)
        current().wakeups.tell(thread_id)


def cancel(
    run_id: UUID,
    *,
    action: str,
    thread_id: UUID | None = None,
    principal: Principal | None = None,
    reason: str = "",
) -> Outcome:
    """Cancel one run, in one transaction that locks its thread.

    Args:
        principal: Whose run it must be, and who is on record; None for an operator, who may cancel any run and
            is put on record by the caller.
        reason: Why, for the record.
    """
    owned = Run.objects.all() if principal is None else Run.objects.for_principal(principal)
    owned = owned.filter(id=run_id)
    if thread_id is not None:
        owned = owned.filter(thread=thread_id)
    with transaction.atomic():
        thread = Thread.objects.filter(runs__in=owned).locked().first()
        run = owned.first() if thread is not None else None
        if thread is None or run is None:
            raise NothingToCancel("No runs found to cancel.")
        if run.status not in (RunStatus.PENDING, RunStatus.RUNNING):
            raise NothingToCancel(
                "No matching runs to cancel. Please verify the thread ID and run IDs are correct, and the runs "
                "haven't been deleted or completed."
            )
        now = clock.now()
        outcome = request(run, action, now=now)
        if outcome is not ASKED:
            rest_thread(thread, after=run, now=now)
        if principal is not None:
            back = action == CancelAction.ROLLBACK
            record(
                run.id, "roll_back" if back else "cancel", caller(principal), WORDS[outcome],
                reason=reason, thread_id=thread.id if back else None,
            )  # fmt: skip
        return outcome


def request(run: Run, action: str, *, now: datetime) -> Outcome:
    """Cancel a run in flight. The caller has locked its thread, and updates the thread's status."""
    if run.status == RunStatus.RUNNING:
        Run.objects.request_cancel(run.id, action, now=now)
        return ASKED
    if run.cancel_action:
        return ASKED
    if action == CancelAction.ROLLBACK:
        if run.attempt:
            # It has checkpoints: the worker that claims it next removes them.
            Run.objects.filter(id=run.id).update(
                cancel_action=action, cancel_requested_at=now, updated_at=now
            )
            return ASKED
        announcements.announce(run, status=RunStatus.INTERRUPTED, now=now)
        remove_run(run.id)
        return REMOVED
    announcements.announce(run, status=RunStatus.INTERRUPTED, now=now)
    changes = (
        {"event_count": counted(run), **logged_columns(run.id)}
        if run.attempt
        else {"epoch": place_of(run.thread_id)}
    )
    Run.objects.filter(id=run.id).move(
        RunStatus.PENDING,
        RunStatus.INTERRUPTED,
        now=now,
        cancel_action=action,
        cancel_requested_at=now,
        **changes,
    )
    return ENDED


def place_of(thread_id: UUID) -> int:
    """The epoch under which a run ends that never started: its place among the thread's runs.

    The thread is locked. If it has no epoch yet, it gets its first one here.
    """
    epoch: int = Thread.objects.values_list("epoch", flat=True).get(id=thread_id)
    if not epoch:
        Thread.objects.filter(id=thread_id).update(epoch=(epoch := 1))
    return epoch


def counted(run: Run) -> int:
    """How many events a run's last attempt left, which has ended already; 0 if it left none.

    The thread is locked. It tells readers where the log ends.
    """
    epoch, count = last_position(run.id)
    return count if epoch == run.epoch else 0


def left_by(thread: Thread, run: Run) -> Rest:
    """What a run leaves on its locked thread when it ends without executing again."""
    return cut_off(waiting_interrupts(thread)) if run.attempt else UNTOUCHED


def rest_thread(thread: Thread, *, after: Run, now: datetime) -> None:
    """Update a locked thread after a run that ended without executing since its last claim."""
    in_flight = Run.objects.in_flight().filter(thread=thread).exists()
    changes = thread_rest.after(
        left_by(thread, after), thread, in_flight=in_flight, now=now, temporary=after.temporary
    )
    Thread.objects.filter(id=thread.id).update(**changes)


async def delete_run(run_id: UUID, *, thread_id: UUID, principal: Principal) -> None:
    """Delete a run. A run in flight is stopped, and can write nothing from then on.

    Raises NotFound.
    """
    await in_database(delete, run_id, thread_id=thread_id, principal=principal)
    current().cancelled(run_id)
    await refresh_state(thread_id)
    # If this is cut off, retention goes on with it.
    await in_turns(remains([run_id]))


def delete(run_id: UUID, *, thread_id: UUID, principal: Principal | None = None) -> None:
    """Delete a run of the principal's threads; of any thread without one. `remains` removes its events.

    Raises NotFound.
    """
    threads = Thread.objects.all() if principal is None else Thread.objects.for_principal(principal)
    with transaction.atomic():
        thread = threads.filter(id=thread_id).locked().first()
        run = Run.objects.filter(id=run_id, thread=thread_id).first() if thread is not None else None
        if thread is None or run is None:
            raise NotFound("Run not found")
        now = clock.now()
        if run.attempt and run.epoch == thread.epoch:
            # Fences the owner's writes from here on. The owner of a run in flight notices this and stops it. Of a
            # run that has just ended, a statement that adds events may still wait for this transaction's lock, and
            # would add them without their run.
            Thread.objects.filter(id=thread.id).update(epoch=thread.epoch + 1)
        remove_run(run.id)
        if principal is not None:
            record(run.id, "delete", caller(principal), f"deleted ({run.status})", thread_id=thread_id)
        if run.status in (RunStatus.PENDING, RunStatus.RUNNING):
            rest_thread(thread, after=run, now=now)
