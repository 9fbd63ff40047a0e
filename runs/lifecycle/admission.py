"""Admission: creates a run, and decides what happens to the thread's other runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet

from runs import graphs
from runs.assistants import find_assistant
from runs.exceptions import NotFound, ThreadBusy
from runs.lifecycle import cancellation, thread_rest
from runs.lifecycle.new_run import compose, taken_up
from runs.lifecycle.operators.queues import is_paused
from runs.models import Assistant, MultitaskStrategy, Run
from runs.process.current import current
from runs.process.locks import bounded_locks
from runs.requests import limits
from runs.requests.answers import is_plain_answer
from runs.requests.idempotency import Once
from runs.requests.run import RunRequest, with_headers
from runs.serializers import run_columns
from threads import expiry
from threads.db import clock, statements
from threads.db.database import in_database
from threads.db.ids import new_id
from threads.db.tasks import spawn
from threads.filters import belongs
from threads.models import StateEdit, Thread, ThreadStatus
from threads.models.querysets import Principal
from threads.redaction import restored

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A created run, and the other runs whose owners and readers are notified after the commit."""

    run: Run
    claimed: bool
    #: Running runs whose owners were asked to stop.
    superseded: list[UUID]
    #: Pending runs that ended, for their readers.
    ended: list[UUID]
    #: Pending runs that were rolled back, and so deleted.
    removed: list[UUID]

    @property
    def concerned(self) -> list[UUID]:
        """The other runs, whose owners and readers must be notified."""
        return [*self.superseded, *self.ended, *self.removed]


async def create_run(
    request: RunRequest,
    *,
    principal: Principal,
    thread_id: UUID | None,
    left: Callable[[Run], None] = lambda run: None,
    once: Once | None = None,
    lock_timeout: float | None = None,
) -> Run:
    """Create a run on a thread, or on a temporary one; return after the commit.

    Cancelling the caller does not interrupt the admission.

    Args:
        once: The client's key; a run that it has created before is returned instead.
        left: Called with the run if the caller was cancelled before it received the run.
        lock_timeout: How long other transactions' locks are waited for, in seconds; None for the
            connection's own limit.

    Raises:
        NotFound: No such assistant or thread.
        LimitReached: The user has created too many runs recently, or has too many pending ones.
        ThreadBusy: Strategy `reject`, and a run of the thread is pending or running.
        InvalidRequest: An unknown graph name, or a plain answer while several interrupts wait.
        KeyReused, CreationDeleted: The key cannot be used for this request.
        ThreadLocked: Another transaction holds the thread for longer than `lock_timeout`.
    """
    if once is not None and (earlier := await in_database(once.found, earlier_runs(principal))):
        return earlier[0]
    limits.check_input(request)
    request = with_headers(request, principal)
    await limits.take_runs(principal.user_id)
    # A separate task: if the client disconnects between the commit and the start, the claimed run is still
    # executed.
    arguments: dict[str, Any] = {"principal": principal, "thread_id": thread_id, "once": once}
    admission = spawn(_create_run(request, **arguments, lock_timeout=lock_timeout))
    try:
        return await asyncio.shield(admission)
    except asyncio.CancelledError:
        admission.add_done_callback(partial(_nobody_waits, left=left))
        raise


def _nobody_waits(admission: asyncio.Task[Run], *, left: Callable[[Run], None]) -> None:
    if admission.cancelled():
        return
    if (error := admission.exception()) is None:
        left(admission.result())
    else:
        logger.warning("A run whose client has left could not be created: %s", error)


def earlier_runs(principal: Principal) -> QuerySet[Run]:
    """The runs that a repeated request may return."""
    return Run.objects.for_principal(principal).only(*run_columns())


async def _create_run(
    request: RunRequest,
    *,
    principal: Principal,
    thread_id: UUID | None,
    once: Once | None,
    lock_timeout: float | None,
) -> Run:
    runtime = current()
    manager = runtime.manager
    slot = manager.reserve() if manager is not None and request.after_seconds <= 0 else None
    arguments: dict[str, Any] = {"principal": principal, "thread_id": thread_id}
    if once is not None:
        arguments |= {"once": once, "earlier": earlier_runs(principal)}
    if slot is not None:
        arguments |= {"worker_id": slot.worker_id, "queues": slot.queues}
    try:
        try:
            admitted = await in_database(admit_within, lock_timeout, request, **arguments)
        except IntegrityError:
            # Two requests created the same thread at once. It exists now, so the second attempt finds it.
            admitted = await in_database(admit_within, lock_timeout, request, **arguments)
    except BaseException:
        if slot is not None:
            slot.release()
        raise
    if slot is not None:
        if admitted.claimed:
            slot.start(admitted.run)
        else:
            slot.release()
    for run_id in admitted.concerned:
        runtime.cancelled(run_id)
    if admitted.ended:
        runtime.wakeups.tell(admitted.run.thread_id)
    if not admitted.claimed:
        runtime.work_added()
    return admitted.run


def admit_within(lock_timeout: float | None, request: RunRequest, **arguments: Any) -> Admitted:
    """`admit`, with a limit for other transactions' locks. Raises ThreadLocked."""
    with nullcontext() if lock_timeout is None else bounded_locks(lock_timeout):
        return admit(request, **arguments)


def admit(
    request: RunRequest,
    *,
    principal: Principal,
    thread_id: UUID | None,
    worker_id: UUID | None = None,
    queues: Collection[str] | None = None,
    once: Once | None = None,
    earlier: QuerySet[Run] | None = None,
) -> Admitted:
    """Insert a pending run, in one transaction that locks its thread.

    Args:
        once: The client's key. A run among the `earlier` ones that it has created is returned.
        principal: Who asks, and whose user the run, and a new thread, belongs to.
        worker_id: A worker with a free slot. If the thread is free, it claims the run in the same
            transaction, so the run starts without a queue's delay.
        queues: The queues that the worker serves; None for all.
    """
    assistant = find_assistant(request.assistant_id, principal=principal)
    with transaction.atomic():
        if once is not None and earlier is not None and (found := once.taken(earlier)):
            return Admitted(found[0], False, [], [], [])
        thread, changes = _thread(request, assistant, principal=principal, thread_id=thread_id)
        # Read under the thread's lock, so that a later admission gets a later place in the queue.
        now = clock.now()
        in_flight = _in_flight(thread) if thread_id is not None else []
        if in_flight and request.multitask_strategy == MultitaskStrategy.REJECT:
            raise ThreadBusy
        edited = is_plain_answer(request.command) and _edited(thread)
        run = compose(request, assistant, thread, user_id=principal.user_id, now=now, edited=edited)
        # For the graph.
        run.auth_details = getattr(principal, "details", None) or None
        run.asked_by = getattr(principal, "asked_by", None) or None
        changes |= {"status": ThreadStatus.BUSY, "updated_at": now, **expiry.extended(thread, now=now)}
        claimed = worker_id is not None and not in_flight and _is_executed_here(run, assistant, queues)
        if claimed:
            run.claim(worker_id, epoch=thread.epoch + 1, now=now)
            changes["epoch"] = run.epoch
        else:
            limits.check_queue(principal.user_id)
        statements.insert(run)
        admitted = Admitted(run, claimed, [], [], [])
        if request.multitask_strategy in (MultitaskStrategy.INTERRUPT, MultitaskStrategy.ROLLBACK):
            changes |= _supersede(thread, in_flight, request.multitask_strategy, admitted, now)
        statements.update(Thread, changes, {"id": thread.id})
        if once is not None:
            once.record([run.id])
    run.thread = thread
    run.assistant = assistant
    return admitted


def _is_executed_here(run: Run, assistant: Assistant, queues: Collection[str] | None) -> bool:
    return (
        (queues is None or run.queue in queues)
        and assistant.graph_id in graphs.names()
        and not is_paused(run.queue)
    )


def _thread(
    request: RunRequest, assistant: Assistant, *, principal: Principal, thread_id: UUID | None
) -> tuple[Thread, dict[str, Any]]:
    """The run's locked thread and its changes; created if the run is stateless, or if the request
    says so.
    """
    if thread_id is not None:
        found = statements.get(Thread, {"id": thread_id}, lock=True)
        if found is not None:
            if found.discarded_at is not None or not belongs(found, principal, "threads"):
                raise NotFound("Thread or assistant not found.")
            return found, taken_up(found, request, assistant)
        if request.if_not_exists != "create":
            raise NotFound("Thread or assistant not found.")
    if not request.temporary:
        limits.check_threads(principal.user_id)
    metadata = {"graph_id": assistant.graph_id, "assistant_id": str(assistant.id)}
    now = clock.now()
    thread = Thread(
        id=thread_id or new_id(),
        user_id=principal.user_id,
        status=ThreadStatus.BUSY,
        # The server's names come last: a client must not choose the graph through which the state is read.
        metadata={**request.metadata, **metadata},
        config=restored(request.config, assistant.config),
        created_at=now,
        updated_at=now,
        state_updated_at=now,
        **expiry.columns(None, now=now),
    )
    statements.insert(thread)
    return thread, {}


def _edited(thread: Thread) -> bool:
    """Whether the thread's state was edited after its last run."""
    last = Run.objects.filter(thread=thread).aggregate(epoch=Max("epoch"))["epoch"]
    return StateEdit.objects.filter(thread=thread, epoch__gt=last or 0).exists()


def _in_flight(thread: Thread) -> list[Run]:
    if not statements.exists(
        Run, "thread_id = %s AND status IN ('pending', 'running')", {"thread_id": thread.id}
    ):
        return []
    return list(
        Run.objects.in_flight()
        .filter(thread=thread)
        .only("id", "status", "attempt", "thread", "cancel_action")
    )


def _supersede(
    thread: Thread, in_flight: list[Run], action: str, admitted: Admitted, now: datetime
) -> dict[str, Any]:
    """Cancel the thread's other runs; return the changes to the thread's row."""
    changes: dict[str, Any] = {}
    for other in in_flight:
        outcome = cancellation.request(other, action, now=now)
        {
            cancellation.ASKED: admitted.superseded,
            cancellation.ENDED: admitted.ended,
            cancellation.REMOVED: admitted.removed,
        }[outcome].append(other.id)
        if outcome is cancellation.ENDED:
            rest = cancellation.left_by(thread, other)
            changes |= thread_rest.after(rest, thread, in_flight=True, now=now)
    return changes
