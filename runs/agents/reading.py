"""Waiting for runs, following them, and reading what they leave, as a user."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from runs.agents.permission import READ_RUN, READ_STATE, apermitted, path_of_run, permitted
from runs.encoding import decode
from runs.events import table
from runs.events.log_reader import LogReader, is_settled
from runs.events.table import START, Event, Position
from runs.exceptions import InvalidRequest, NotFound
from runs.identity.principals import Principal
from runs.models import Run
from runs.process.current import current, is_open
from runs.protocols.errors import shown_message
from runs.protocols.sse import Projection, narrowed, parse_last_event_id
from threads.db.database import in_database
from threads.models import Thread

#: The pause between two looks at a run of another process, in seconds: the first, and the longest.
PAUSE, LONGEST_PAUSE = 0.02, 0.2


class StreamPart(NamedTuple):
    """One event of a run's stream."""

    event: str
    data: Any
    #: For `after`, to continue a stream.
    id: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    run_id: UUID
    thread_id: UUID
    #: "success", "error", "timeout" or "interrupted" (cancelled).
    status: str
    #: The thread's state.
    values: Any
    #: The questions that wait for an answer, each with `id` and `value`.
    interrupts: list[dict[str, Any]]
    #: The error's class and message, of a run that failed.
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ThreadState:
    """A thread as its last finished run left it."""

    thread_id: UUID
    #: "idle", "busy", "interrupted" or "error".
    status: str
    values: Any
    interrupts: list[dict[str, Any]]
    error: dict[str, Any] | None
    metadata: dict[str, Any]


def wait(run_id: UUID, *, user: Any, timeout: float | None = None) -> Result:
    """Wait until a run has ended; not inside of a transaction.

    Raises NotFound if it does not exist or was deleted, and TimeoutError.
    """
    principal = _reader(run_id, user)
    for _ in _looks(timeout):
        if is_settled(run_id):
            break
    return _result(run_id, principal)


async def await_result(run_id: UUID, *, user: Any, timeout: float | None = None) -> Result:
    """Like `wait`."""
    principal = await _areader(run_id, user)
    async with asyncio.timeout(timeout):
        if is_open():
            await current().hub.settled(run_id)
        else:
            pause = PAUSE
            while not await in_database(is_settled, run_id):
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 1.5)
    return await in_database(_result, run_id, principal)


def stream(
    run_id: UUID, *, user: Any, modes: list[str] | None = None, after: str | None = "-1"
) -> Iterator[StreamPart]:
    """The events of a run until its end; not inside of a transaction. Of a run whose events are no
    longer kept there are none. Raises LogRemoved if they are removed meanwhile.

    Args:
        modes: Only these of the run's stream modes.
        after: The id of the last event that the caller has; "-1" for all.
    """
    principal = _reader(run_id, user)
    projection, position = _projection(run_id, principal, modes), parse_last_event_id(after) or START
    _prime(projection, run_id, position)
    looks, reader = _looks(None), LogReader(run_id)
    while True:
        batch = reader.next(position)
        for event in batch:
            yield from _parts(projection, event)
            position = event.position
        if batch:
            looks = _looks(None)
        elif reader.ended:
            return
        else:
            next(looks)


async def astream(
    run_id: UUID, *, user: Any, modes: list[str] | None = None, after: str | None = "-1"
) -> AsyncIterator[StreamPart]:
    """Like `stream`."""
    principal = await _areader(run_id, user)
    projection = await in_database(_projection, run_id, principal, modes)
    position = parse_last_event_id(after) or START
    await in_database(_prime, projection, run_id, position)
    follow = current().hub.follow(run_id, position) if is_open() else _followed(run_id, position)
    async with aclosing(follow) as batches:  # type: ignore[type-var]
        async for batch in batches:
            for event in batch:
                for part in _parts(projection, event):
                    yield part


def state(thread_id: UUID, *, user: Any) -> ThreadState:
    """A thread's state. Raises NotFound."""
    return _state(thread_id, permitted(user, READ_STATE, {"thread_id": thread_id}, {}).principal)


async def astate(thread_id: UUID, *, user: Any) -> ThreadState:
    """Like `state`."""
    allowed = await apermitted(user, READ_STATE, {"thread_id": thread_id}, {})
    return await in_database(_state, thread_id, allowed.principal)


# --- what is common


def _reader(run_id: UUID, user: Any) -> Principal:
    if connection.in_atomic_block:
        raise InvalidRequest(
            "A run is executed after the commit: wait for it, or follow it, outside of a transaction."
        )
    return permitted(user, READ_RUN, path_of_run(run_id, user), {}).principal


async def _areader(run_id: UUID, user: Any) -> Principal:
    path = await in_database(path_of_run, run_id, user)
    return (await apermitted(user, READ_RUN, path, {})).principal


def _looks(timeout: float | None) -> Iterator[None]:
    """Pauses between looks. Raises TimeoutError."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = PAUSE
    while True:
        yield
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


async def _followed(run_id: UUID, position: Position) -> AsyncIterator[list[Event]]:
    """A run's events, in a process without a runtime."""
    pause, reader = PAUSE, LogReader(run_id)
    while True:
        batch = await in_database(reader.next, position)
        if batch:
            yield batch
            position, pause = batch[-1].position, PAUSE
        elif reader.ended:
            return
        else:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)


def _projection(run_id: UUID, principal: Principal, modes: list[str] | None) -> Projection:
    kwargs = Run.objects.for_principal(principal).values_list("kwargs", flat=True).filter(id=run_id).first()
    if kwargs is None:
        raise NotFound("Run not found")
    wanted = narrowed(kwargs.get("stream_mode", []), modes or [])
    return Projection(wanted, subgraphs=bool(kwargs.get("subgraphs")))


def _prime(projection: Projection, run_id: UUID, position: Position) -> None:
    """Feed the events before a position, on which later ones depend."""
    reached = START
    while projection.cumulative and reached < position:
        batch = [event for event in table.read(run_id, reached) if event.position <= position]
        if not batch:
            return
        for event in batch:
            projection.prime(event)
        reached = batch[-1].position


def _parts(projection: Projection, event: Event) -> Iterator[StreamPart]:
    for name, data in projection.feed(event):
        yield StreamPart(name, decode(data), event.id)


def _result(run_id: UUID, principal: Principal) -> Result:
    run = Run.objects.for_principal(principal).select_related("thread").filter(id=run_id).first()
    if run is None:
        raise NotFound("Run not found")
    error = run.error and {**run.error, "message": shown_message(run.error)}
    thread = run.thread
    return Result(run.id, thread.id, run.status, thread.values, _questions(thread), error)


def _state(thread_id: UUID, principal: Principal) -> ThreadState:
    thread = Thread.objects.for_principal(principal).visible().filter(id=thread_id).first()
    if thread is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    return ThreadState(
        thread.id, thread.status, thread.values, _questions(thread), thread.error, thread.metadata
    )


def _questions(thread: Thread) -> list[dict[str, Any]]:
    return [question for asked in thread.interrupts.values() for question in asked]
