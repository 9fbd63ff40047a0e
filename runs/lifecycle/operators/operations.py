"""What operators do with runs, on record: the admin, the API and the commands call these functions.

Each acts on a user's run as the operator, not as the user, and adds a `RunAction` with the reason and
the outcome in the same transaction. They are synchronous, and wake the processes concerned after the
commit. All raise NotFound for an unknown run, and `Refused` with the reason if the action cannot be
taken now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from runs.conf import settings
from runs.events import table
from runs.exceptions import InvalidRequest, NotFound, NothingToCancel, RunsError
from runs.identity.principals import Principal
from runs.lifecycle import cancellation
from runs.lifecycle import reconcile as recovery
from runs.lifecycle.admission import admit
from runs.lifecycle.operators.asking import asking_run
from runs.lifecycle.operators.offers import Standing, offers
from runs.lifecycle.operators.repeating import beginning, request_of
from runs.lifecycle.records import LONGEST_REASON, Operator, made_before, record
from runs.models import CancelAction, Run, RunStatus
from runs.process.current import notify_cancelled
from runs.requests.checkpoint import sanitised_checkpoint
from runs.requests.run import RunRequest
from threads.checkpoints.opening import has_checkpoint
from threads.db import clock
from threads.models import Thread

__all__ = ["LONGEST_REASON", "Operator"]

#: The bounds of a priority.
LOWEST, HIGHEST = -32_768, 32_767
#: The metadata of a thread that has the copy of another site's run (`transfers`): the run's id.
IMPORTED = "imported_run"
UNSETTLED = "It could not be settled now; the server's log says why. The sweep tries again."


class Refused(RunsError):
    """The action cannot be taken now."""


class Repeated(RunsError):
    """The same request made a run before (`Operator.request`). What was done for this one is undone."""

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"This request made the run {run_id} before.")
        self.run_id = run_id


def cancel(run_id: UUID, by: Operator, *, reason: str = "", roll_back: bool = False) -> str:
    """Cancel a pending run, or ask the owner of a running one to stop it; return the outcome in words.

    Args:
        roll_back: Remove the run and its checkpoints. The record of it stays with the thread.
    """
    kind = "roll_back" if roll_back else "cancel"
    with transaction.atomic():
        run, _ = ensure(run_id, kind)
        action = CancelAction.ROLLBACK if roll_back else CancelAction.INTERRUPT
        try:
            found = cancellation.cancel(run_id, action=action)
        except NothingToCancel as error:
            raise Refused("The run had ended meanwhile.") from error
        outcome = cancellation.WORDS[found]
        record(run_id, kind, by, outcome, reason=reason, thread_id=run.thread_id if roll_back else None)
    notify_cancelled(run_id)
    return outcome


def requeue(run_id: UUID, by: Operator, *, reason: str = "") -> str:
    """Ask a running run to stop at its next step and go back to `pending`. No attempt is charged."""
    with transaction.atomic():
        ensure(run_id, "requeue")
        if not Run.objects.request_requeue(run_id, now=clock.now()):
            raise Refused("The run had ended meanwhile.")
        outcome = "asked to stop at its next step"
        record(run_id, "requeue", by, outcome, reason=reason)
    notify_cancelled(run_id)
    return outcome


def set_priority(run_id: UUID, by: Operator, priority: int, *, reason: str = "") -> str:
    """Change the place of a pending run in its queue; higher ones are claimed first."""
    if not LOWEST <= priority <= HIGHEST:
        raise InvalidRequest(f"priority must be between {LOWEST} and {HIGHEST}.")
    with transaction.atomic():
        run, _ = ensure(run_id, "priority")
        if not Run.objects.filter(id=run_id, status=RunStatus.PENDING).update(priority=priority):
            raise Refused("The run was claimed meanwhile.")
        outcome = f"priority {run.priority} became {priority}"
        record(run_id, "priority", by, outcome, reason=reason)
    notify_cancelled(run_id)
    return outcome


def reconcile(run_id: UUID, by: Operator, *, reason: str = "") -> str:
    """Settle a running run whose worker is dead; return the outcome in words."""
    with transaction.atomic():
        run = Run.objects.filter(id=run_id).first()
        if run is None:
            raise NotFound(f"Run {run_id} not found")
        if run.status != RunStatus.RUNNING:
            raise Refused(f"This cannot be done: the run is not running ({run.status}).")
        report = recovery.reconcile(run_ids=[run_id])
        outcome = "will be resumed" if report.requeued else "ended in an error"
        if not (report.requeued or report.failed):
            raise Refused(UNSETTLED if report.unsettled else "This cannot be done: its worker is alive.")
        record(run_id, "reconcile", by, outcome, reason=reason)
    notify_cancelled(run_id)
    return outcome


def answer(run_id: UUID, by: Operator, answers: Mapping[str, Any], *, reason: str = "") -> Run:
    """Answer questions that wait on the run's thread; return the new run, which continues there.

    Args:
        answers: Values by the interrupts' ids.
    """

    def request(run: Run, thread: Thread) -> RunRequest:
        waiting = {each["id"] for asked in thread.interrupts.values() for each in asked}
        if not answers or not answers.keys() <= waiting:
            raise Refused(f"These questions wait for an answer: {', '.join(sorted(waiting))}.")
        return replace(
            request_of(run), input=None, command={"resume": dict(answers)}, checkpoint=None,
            interrupt_before=None, interrupt_after=None,
        )  # fmt: skip

    return _anew(run_id, "answer", by, reason, request)


def retry(run_id: UUID, by: Operator, *, reason: str = "") -> Run:
    """Repeat an ended run as a new one, from where it began; return the new run."""

    def request(run: Run, thread: Thread) -> RunRequest:
        saved = partial(has_checkpoint, run.thread_id, file=settings.CHECKPOINTS_FILE)
        return beginning(run, _checkpoints(run), saved=saved)

    return _anew(run_id, "retry", by, reason, request)


def fork(
    run_id: UUID,
    by: Operator,
    checkpoint: Mapping[str, Any],
    *,
    reason: str = "",
    kind: str = "fork",
    about: str = "",
) -> Run:
    """Continue from a checkpoint of the run's thread as a new run; return the new run.

    Args:
        checkpoint: `checkpoint_id`, and for a subgraph `checkpoint_ns` and `checkpoint_map`.
        kind: What the record calls it: `fork`, `replay`, or `rerun`.
        about: What else the outcome says.
    """
    place = sanitised_checkpoint(checkpoint)
    if place is None:
        raise InvalidRequest("checkpoint_id is required.")

    def request(run: Run, thread: Thread) -> RunRequest:
        return replace(request_of(run), input=None, command=None, checkpoint=place)

    return _anew(run_id, "fork", by, reason, request, recorded=kind, about=about)


def standing(run: Run, thread: Thread | None) -> Standing:
    """What decides about the actions on a run, read from its thread."""
    gone = thread is None or thread.discarded_at is not None
    asking = asking_run(thread)
    return Standing(
        run.status,
        cancel_requested=bool(run.cancel_action),
        requeue_requested=run.requeue_requested_at is not None,
        asked=asking is not None,
        asked_by=str(asking) if asking not in (None, run.id) else "",
        thread_busy=Run.objects.in_flight().filter(thread=run.thread_id).exists(),
        thread_gone=gone,
        imported=thread is not None and thread.metadata.get(IMPORTED) == str(run.id),
    )


def _anew(
    run_id: UUID,
    kind: str,
    by: Operator,
    reason: str,
    request: Callable[[Run, Thread], RunRequest],
    *,
    recorded: str = "",
    about: str = "",
) -> Run:
    """Admit a run that repeats or continues another one; both get a record."""
    with transaction.atomic():
        run, thread = ensure(run_id, kind, by)
        assert thread is not None
        principal = Principal.permitted_before(run.user_id)
        admitted = admit(request(run, thread), principal=principal, thread_id=thread.id)
        Run.objects.filter(id=admitted.run.id).update(parent=run.id)
        admitted.run.parent_id = run.id
        kind, new = recorded or kind, str(admitted.run.id)
        record(run.id, kind, by, f"became run {new}{about}", reason=reason, run=new)
        # Without the request: its run is the one that it comes from.
        began = replace(by, request="")
        record(admitted.run.id, kind, began, f"from run {run.id}{about}", reason=reason, run=str(run.id))
    notify_cancelled(admitted.run.id)
    return admitted.run


def ensure(run_id: UUID, kind: str, by: Operator | None = None) -> tuple[Run, Thread | None]:
    """The run, and its thread, locked within a transaction, if the action can be taken.

    Args:
        kind: One of `runs.lifecycle.operators.offers.ACTIONS`.
        by: Who makes a new run of it. Raises Repeated if the same request has made one.
    """
    threads = Thread.objects.filter(runs=run_id)
    in_transaction = transaction.get_connection().in_atomic_block
    thread = (threads.locked() if in_transaction else threads).first()
    run = Run.objects.select_related("assistant").filter(id=run_id).first()
    if run is None:
        raise NotFound(f"Run {run_id} not found")
    # Under the thread's lock, so that of two requests at once the second finds the first one's run.
    if by is not None and (made := made_before(run_id, by)) is not None:
        raise Repeated(made)
    why = offers(standing(run, thread))[kind]
    if why:
        raise Refused(f"This cannot be done: {why}.")
    return run, thread


def _checkpoints(run: Run) -> list[tuple[str, str]]:
    return [(event.name, event.data) for event in table.read(run.id, table.START)]
