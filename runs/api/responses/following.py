"""Responses that last as long as a run: event streams and awaited results."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from ninja.errors import HttpError

from runs.api.responses.results import wait_for_result
from runs.conf import settings
from runs.encoding import encode
from runs.exceptions import LogRemoved, NothingToCancel, ReaderRefused
from runs.identity.standing import Standing
from runs.lifecycle.cancellation import cancel_run
from runs.models import CancelAction
from runs.process.current import current
from runs.protocols.errors import told
from runs.protocols.results import GONE
from runs.protocols.sse import CONTENT_TYPE, HEARTBEAT, START, Position, Projection, frame
from threads.db.tasks import spawn
from threads.models.querysets import Principal

logger = logging.getLogger(__name__)

#: A batch of frames is sent in pieces of about this many bytes, so that a slow reader costs little memory.
PIECE = 64 * 1024

_tasks: set[asyncio.Task[Any]] = set()


def background(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start work that must continue after its request has ended."""
    task = spawn(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


class Attended:
    """The chunks of a response, with a callback for a client that disconnects before the last one.

    A disconnect cancels a response that waits for its next chunk. While a chunk is being sent, or
    before the first one, only `close()` reports it; Django calls that for every response.
    """

    def __init__(self, chunks: AsyncIterator[bytes], *, left: Callable[[], None]) -> None:
        self._chunks = chunks
        self._left = left
        self._over = False
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Attended:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._chunks)
        except asyncio.CancelledError:
            self.close()
            raise
        except BaseException:
            # The end, or this server's own failure: neither is a disconnect.
            self._over = True
            raise

    def close(self) -> None:
        """End the response. Safe to call from any thread, and repeatedly."""
        if not self._over:
            self._over = True
            with suppress(RuntimeError):  # the loop has ended because the server has stopped
                self._loop.call_soon_threadsafe(self._left)


def cancel_left(run_id: UUID, *, principal: Principal) -> None:
    """Cancel a run whose client has disconnected, unless this server is shutting down."""
    try:
        draining = current().draining
    except RuntimeError:
        return
    if not draining:
        background(_cancel(run_id, principal=principal))


async def _cancel(run_id: UUID, *, principal: Principal) -> None:
    with suppress(NothingToCancel):
        await cancel_run(
            run_id,
            thread_id=None,
            principal=principal,
            action=CancelAction.INTERRUPT,
            reason="its client disconnected",
        )


async def while_standing(chunks: AsyncIterator[bytes], standing: Standing) -> AsyncIterator[bytes]:
    """The chunks, while their reader is allowed to read.

    Raises ReaderRefused, which aborts the response.
    """
    async with aclosing(chunks):  # type: ignore[type-var]
        async for chunk in chunks:
            try:
                await standing.check()
            except HttpError as refusal:
                raise ReaderRefused(str(refusal)) from refusal
            yield chunk


def response(
    chunks: AsyncIterator[bytes],
    *,
    content_type: str,
    headers: dict[str, str],
    standing: Standing | None,
    left: Callable[[], None] | None = None,
) -> StreamingHttpResponse:
    """A streamed response; `left` is called when its client leaves before the end.

    Args:
        standing: Checked before each chunk: may the reader still read? None for a short response.
    """
    if standing is not None:
        chunks = while_standing(chunks, standing)
    return StreamingHttpResponse(
        Attended(chunks, left=left) if left else chunks,
        content_type=content_type,
        headers={**headers, "Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def event_stream(
    run_id: UUID,
    after: Position | None,
    projection: Projection,
    *,
    headers: dict[str, str],
    standing: Standing,
    left: Callable[[], None] | None = None,
) -> StreamingHttpResponse:
    """A run's events after a position, as server-sent events, until the run's end."""
    chunks = event_chunks(run_id, after, projection)
    return response(chunks, content_type=CONTENT_TYPE, headers=headers, standing=standing, left=left)


def waited_result(
    run_id: UUID, *, headers: dict[str, str], standing: Standing, left: Callable[[], None] | None = None
) -> StreamingHttpResponse:
    """The result of a run, sent when the run has ended."""
    chunks = result_chunks(run_id)
    return response(chunks, content_type="application/json", headers=headers, standing=standing, left=left)


async def event_chunks(run_id: UUID, after: Position | None, projection: Projection) -> AsyncIterator[bytes]:
    """The frames of a run's events.

    A heartbeat follows each pause, also if other readers got events. If the log is removed meanwhile,
    the last frame says so.
    """
    now = asyncio.get_running_loop().time
    sent = now()
    primed = not projection.cumulative or after == START
    try:
        async with aclosing(current().hub.follow(run_id, after)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                if batch and not primed:
                    await prime(projection, run_id, before=batch[0].position)
                    primed = True
                piece = bytearray()
                for event in batch:
                    piece += projection.frames(event)
                    if len(piece) >= PIECE:
                        yield bytes(piece)
                        piece.clear()
                        sent = now()
                if not piece and (not batch or now() - sent >= settings.STREAM_HEARTBEAT):
                    piece += HEARTBEAT
                if piece:
                    yield bytes(piece)
                    sent = now()
    except LogRemoved as error:
        yield frame("error", encode(told(error)))


async def prime(projection: Projection, run_id: UUID, *, before: Position) -> None:
    """Feed a projection the events before a position without sending them. Raises LogRemoved."""
    async with aclosing(current().hub.follow(run_id, START)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            for event in batch:
                if event.position >= before:
                    return
                projection.prime(event)
    # The reader has the event at this position already, so the log had it.
    raise LogRemoved


async def result_chunks(run_id: UUID) -> AsyncIterator[bytes]:
    """A run's result. Until it is known, each heartbeat sends a newline, which JSON ignores."""
    waiting = background(wait_for_result(run_id))
    try:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=settings.STREAM_HEARTBEAT)
            if not waiting.done():
                yield b"\n"
        yield waiting.result().encode()
    finally:
        waiting.cancel()


async def run_not_found() -> AsyncIterator[bytes]:
    """The stream of a missing run. The reference answers 200, which clients do not retry."""
    yield frame("error", encode(GONE["__error__"]))


async def result_not_found() -> AsyncIterator[bytes]:
    """The result of a missing run, as the reference server answers it."""
    yield encode(GONE).encode()
