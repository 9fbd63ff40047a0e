"""Starting, answering and cancelling runs, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction
from pydantic import ValidationError

from runs.agents.permission import (
    CANCEL,
    CREATE_RUN,
    CREATE_THREAD,
    READ_STATE,
    apermitted,
    path_of_run,
    permitted,
)
from runs.agents.types import Options, Started
from runs.encoding import decode, encode
from runs.exceptions import InvalidRequest, NotFound
from runs.identity.principals import Principal
from runs.lifecycle import admission, cancellation
from runs.lifecycle.interrupts import waiting
from runs.models import Run
from runs.process.current import is_open, tell_after_commit
from runs.process.locks import bounded_locks
from runs.process.wakeups import WORK
from runs.requests import limits
from runs.requests.bodies import RunCreate
from runs.requests.idempotency import Once
from runs.requests.run import RunRequest
from threads import expiry
from threads.db import clock, statements
from threads.db.database import in_database
from threads.db.ids import new_id
from threads.models import Thread

#: How long to wait for a locked thread, in seconds.
LOCK_TIMEOUT = 5.0


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
    body = _body(assistant, input, options)
    once = _once(user, idempotency_key, thread_id, body)
    path = {} if thread_id is None else {"thread_id": thread_id}
    allowed = permitted(user, CREATE_RUN, path, body, assistants=[assistant])
    request = _request(allowed.body, thread_id)
    return _admitted(request, allowed.principal, thread_id, once, lock_timeout)


async def astart(
    assistant: str,
    input: Any = None,
    *,
    user: Any,
    thread_id: UUID | None = None,
    idempotency_key: str | None = None,
    **options: Unpack[Options],
) -> Started:
    """Like `start`, in a transaction of its own."""
    body = _body(assistant, input, options)
    once = _once(user, idempotency_key, thread_id, body)
    path = {} if thread_id is None else {"thread_id": thread_id}
    allowed = await apermitted(user, CREATE_RUN, path, body, assistants=[assistant])
    request, principal = _request(allowed.body, thread_id), allowed.principal
    if not is_open():
        return await in_database(_admitted, request, principal, thread_id, once, LOCK_TIMEOUT)
    # This process may execute it at once.
    run = await admission.create_run(request, principal=principal, thread_id=thread_id, once=once)
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
    """
    allowed = permitted(user, READ_STATE, {"thread_id": thread_id}, {})
    assistant, resume = _answering(thread_id, value, allowed.principal, interrupt_id)
    options["command"] = {**options.get("command", {}), "resume": resume}
    return start(
        assistant,
        user=user,
        thread_id=thread_id,
        idempotency_key=idempotency_key,
        lock_timeout=lock_timeout,
        **options,
    )


async def aanswer(
    thread_id: UUID,
    value: Any,
    *,
    user: Any,
    interrupt_id: str | None = None,
    idempotency_key: str | None = None,
    **options: Unpack[Options],
) -> Started:
    """Like `answer`, in a transaction of its own."""
    allowed = await apermitted(user, READ_STATE, {"thread_id": thread_id}, {})
    assistant, resume = await in_database(_answering, thread_id, value, allowed.principal, interrupt_id)
    options["command"] = {**options.get("command", {}), "resume": resume}
    return await astart(assistant, user=user, thread_id=thread_id, idempotency_key=idempotency_key, **options)


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


def create_thread(
    *, user: Any, metadata: Mapping[str, Any] | None = None, thread_id: UUID | None = None
) -> UUID:
    """Create a thread, in the present transaction; return its id. Raises like `start`."""
    body: dict[str, Any] = {"metadata": dict(metadata or {})}
    allowed = permitted(user, CREATE_THREAD, {}, body)
    return _thread(allowed.principal, allowed.body["metadata"], thread_id)


async def acreate_thread(
    *, user: Any, metadata: Mapping[str, Any] | None = None, thread_id: UUID | None = None
) -> UUID:
    """Like `create_thread`, in a transaction of its own."""
    body: dict[str, Any] = {"metadata": dict(metadata or {})}
    allowed = await apermitted(user, CREATE_THREAD, {}, body)
    return await in_database(_thread, allowed.principal, allowed.body["metadata"], thread_id)


# --- what is common


def _body(assistant: str, input: Any, options: Options) -> dict[str, Any]:
    """The body of the same request over HTTP, as JSON."""
    given = {"assistant_id": assistant, "input": input, "on_completion": "keep", **options}
    body: dict[str, Any] = decode(encode(given))
    return body


def _once(user: Any, key: str | None, thread_id: UUID | None, body: Mapping[str, Any]) -> Once | None:
    return None if key is None else Once.of(user.pk, key, "runs.agents", thread_id, body)


def _request(body: Mapping[str, Any], thread_id: UUID | None) -> RunRequest:
    try:
        return RunCreate.model_validate(body).request(stateless=thread_id is None)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{place}: {first['msg']}") from None


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


def _answering(
    thread_id: UUID, value: Any, principal: Principal, interrupt_id: str | None
) -> tuple[str, Any]:
    """The assistant that asked, and the answer by its question."""
    state = waiting(thread_id, principal=principal)
    if state is None or (interrupt_id is not None and interrupt_id not in state[1]):
        raise NotFound("No such question waits for an answer.")
    if not state[1]:
        raise NotFound("No question waits for an answer.")
    return state[0], value if interrupt_id is None else {interrupt_id: value}


def _cancelled(run_id: UUID, principal: Principal, action: str) -> None:
    with bounded_locks(LOCK_TIMEOUT):
        cancellation.cancel(run_id, action=action, principal=principal)
    tell_after_commit([run_id, WORK])


def _thread(principal: Principal, metadata: dict[str, Any], thread_id: UUID | None) -> UUID:
    limits.check_threads(principal.user_id)
    now = clock.now()
    thread = Thread(
        id=thread_id or new_id(),
        user_id=principal.user_id,
        metadata=metadata,
        created_at=now,
        updated_at=now,
        state_updated_at=now,
        **expiry.columns(None, now=now),
    )
    try:
        with transaction.atomic():
            statements.insert(thread)
    except IntegrityError:
        raise InvalidRequest(f"Thread with ID {thread.id} already exists") from None
    return thread.id
