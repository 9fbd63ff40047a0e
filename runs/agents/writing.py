"""Starting, answering and cancelling runs, in the caller's transaction."""

from __future__ import annotations

from typing import Any, Literal, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction

from runs.agents.calls import as_json, body_of, once_of, request_of
from runs.agents.permission import (
    CREATE_RUN,
    READ_STATE,
    apermitted,
    path_of_run,
    permitted,
)
from runs.agents.types import LOCK_TIMEOUT, Options, Started
from runs.exceptions import NotFound
from runs.identity.auth_file.rules import CANCEL
from runs.identity.principals import Principal
from runs.lifecycle import admission, cancellation
from runs.lifecycle.interrupts import waiting
from runs.models import Run
from runs.process.current import is_open, tell_after_commit
from runs.process.locks import bounded_locks
from runs.process.wakeups import WORK
from runs.requests import limits
from runs.requests.idempotency import Once
from runs.requests.run import RunRequest
from threads.db.database import in_database


def start(
    assistant: str,
    input: Any = None,
    *,
    user: Any,
    thread_id: UUID | None = None,
    idempotency_key: str | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    **options: Unpack[Options],
) -> Started:
    """Create a run as a user, in the present transaction: it exists exactly if that commits.

    Workers are notified at the commit.

    Args:
        assistant: A graph's name, or an assistant's id.
        user: The site's user, with the same rules and limits as over HTTP.
        thread_id: None for a thread of its own.
        idempotency_key: With a key that was used before for the same call, the earlier run is returned.
        lock_timeout: How long another transaction's lock on the thread is waited for, in seconds.

    Raises:
        InvalidRequest, NotFound, ThreadBusy, LimitReached, PermissionDenied: As over HTTP.
        KeyReused, CreationDeleted: The key was used for another call; what it created was deleted.
        ThreadLocked: Another transaction holds the thread for longer than `lock_timeout`.
    """
    body = body_of(assistant, input, options)
    once = once_of(user, idempotency_key, "runs.agents", thread_id, body)
    return _start(body, user, thread_id, once, lock_timeout)


def _start(
    body: dict[str, Any], user: Any, thread_id: UUID | None, once: Once | None, lock_timeout: float
) -> Started:
    path = {} if thread_id is None else {"thread_id": thread_id}
    allowed = permitted(user, CREATE_RUN, path, body, assistants=[body["assistant_id"]])
    request = request_of(allowed.body, thread_id)
    return _admitted(request, allowed.principal, thread_id, once, lock_timeout)


async def astart(
    assistant: str,
    input: Any = None,
    *,
    user: Any,
    thread_id: UUID | None = None,
    idempotency_key: str | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    **options: Unpack[Options],
) -> Started:
    """Like `start`, in a transaction of its own."""
    body = body_of(assistant, input, options)
    once = once_of(user, idempotency_key, "runs.agents", thread_id, body)
    return await _astart(body, user, thread_id, once, lock_timeout)


async def _astart(
    body: dict[str, Any], user: Any, thread_id: UUID | None, once: Once | None, lock_timeout: float
) -> Started:
    path = {} if thread_id is None else {"thread_id": thread_id}
    allowed = await apermitted(user, CREATE_RUN, path, body, assistants=[body["assistant_id"]])
    request, principal = request_of(allowed.body, thread_id), allowed.principal
    if not is_open():
        return await in_database(_admitted, request, principal, thread_id, once, lock_timeout)
    # This process may execute it at once.
    run = await admission.create_run(
        request, principal=principal, thread_id=thread_id, once=once, lock_timeout=lock_timeout
    )
    return _started(run)


def answer(
    thread_id: UUID,
    value: Any,
    *,
    user: Any,
    interrupt_id: str | None = None,
    idempotency_key: str | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    **options: Unpack[Options],
) -> Started:
    """Answer the question that a thread waits with, by a new run. Raises like `start`.

    Args:
        interrupt_id: Which question, if there may be several.
        idempotency_key: As for `start`, also when the answered question waits no more.
    """
    once = _once_answering(user, idempotency_key, thread_id, value, interrupt_id, options)
    principal = permitted(user, READ_STATE, {"thread_id": thread_id}, {}).principal
    found = _answering(thread_id, value, principal, interrupt_id, options, once)
    return found if isinstance(found, Started) else _start(found, user, thread_id, once, lock_timeout)


async def aanswer(
    thread_id: UUID,
    value: Any,
    *,
    user: Any,
    interrupt_id: str | None = None,
    idempotency_key: str | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    **options: Unpack[Options],
) -> Started:
    """Like `answer`, in a transaction of its own."""
    once = _once_answering(user, idempotency_key, thread_id, value, interrupt_id, options)
    principal = (await apermitted(user, READ_STATE, {"thread_id": thread_id}, {})).principal
    found = await in_database(_answering, thread_id, value, principal, interrupt_id, options, once)
    if isinstance(found, Started):
        return found
    return await _astart(found, user, thread_id, once, lock_timeout)


def cancel(run_id: UUID, *, user: Any, action: Literal["interrupt", "rollback"] = "interrupt") -> None:
    """Cancel a run, in the present transaction.

    Raises NothingToCancel if it has ended, ThreadLocked, and PermissionDenied.
    """
    allowed = permitted(user, CANCEL, path_of_run(run_id, user), {"action": action})
    _cancelled(run_id, allowed.principal, action)


async def acancel(run_id: UUID, *, user: Any, action: Literal["interrupt", "rollback"] = "interrupt") -> None:
    """Like `cancel`, in a transaction of its own."""
    path = await in_database(path_of_run, run_id, user)
    allowed = await apermitted(user, CANCEL, path, {"action": action})
    await in_database(_cancelled, run_id, allowed.principal, action)


# --- what is common


def _admitted(
    request: RunRequest,
    principal: Principal,
    thread_id: UUID | None,
    once: Once | None,
    lock_timeout: float,
) -> Started:
    earlier = admission.earlier_runs(principal)
    limits.check_input(request)
    with transaction.atomic(), bounded_locks(lock_timeout):
        if once is not None and (found := once.found(earlier)):
            return _started(found[0])
        limits.take_runs_now(principal.user_id)
        arguments: dict[str, Any] = {"principal": principal, "thread_id": thread_id}
        arguments |= {"once": once, "earlier": earlier}
        try:
            admitted = admission.admit(request, **arguments)
        except IntegrityError:
            # Two transactions created the same thread at once. It exists now.
            admitted = admission.admit(request, **arguments)
    tell_after_commit([WORK, *admitted.concerned, *([admitted.run.thread_id] if admitted.ended else [])])
    return _started(admitted.run)


def _started(run: Run) -> Started:
    return Started(run.id, run.thread_id, run.assistant_id)


def _once_answering(
    user: Any, key: str | None, thread_id: UUID, value: Any, interrupt_id: str | None, options: Options
) -> Once | None:
    given = as_json({"value": value, "options": options})
    return once_of(user, key, "runs.agents.answer", thread_id, interrupt_id, given)


def _answering(
    thread_id: UUID,
    value: Any,
    principal: Principal,
    interrupt_id: str | None,
    options: Options,
    once: Once | None,
) -> dict[str, Any] | Started:
    """The body of the run that answers, by the assistant that asked, or the run that an earlier call started."""
    if earlier := _earlier(once, principal):
        return earlier
    state = waiting(thread_id, principal=principal)
    if state is None or not state[1] or (interrupt_id is not None and interrupt_id not in state[1]):
        # An equal call may have answered it just now.
        if earlier := _earlier(once, principal):
            return earlier
        which = "No question" if state is not None and not state[1] else "No such question"
        raise NotFound(f"{which} waits for an answer.")
    resume = value if interrupt_id is None else {interrupt_id: value}
    return body_of(state[0], None, {**options, "command": {**options.get("command", {}), "resume": resume}})


def _earlier(once: Once | None, principal: Principal) -> Started | None:
    found = once.found(admission.earlier_runs(principal)) if once is not None else None
    return _started(found[0]) if found else None


def _cancelled(run_id: UUID, principal: Principal, action: str) -> None:
    with bounded_locks(LOCK_TIMEOUT):
        cancellation.cancel(run_id, action=action, principal=principal)
    tell_after_commit([run_id, WORK])
