"""Group commit: the writes that queue up while a transaction is under way share the next one."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from threads.checkpoints.rows import Batch, Fenced, Rows, Sealed, StorageFailed, merge

logger = logging.getLogger(__name__)

#: How many saver calls share a transaction at most; what one long transaction holds up is bounded.
BATCH = 200
#: First pause before a transaction is tried again, doubled up to the longest one, in seconds.
BACKOFF, LONGEST_BACKOFF = 0.05, 2.0


class Unavailable(Exception):
    """The database could not be reached or asked for a retry; the same batch may succeed later."""


#: Writes a batch in one transaction and returns the threads whose epoch still held; the others wrote nothing.
Commit = Callable[[Batch], Awaitable[set[UUID]]]


class GroupCommit:
    """The one writer of checkpoints in this process.

    Args:
        commit: Writes one batch atomically. Raises `Unavailable` for faults that pass.
        retry_seconds: How long a batch is retried while the database is unavailable; shorter than a worker's lease.
    """

    def __init__(self, commit: Commit, *, retry_seconds: float) -> None:
        self._commit = commit
        self._retry_seconds = retry_seconds
        self._queue: list[tuple[Rows, asyncio.Future[None]]] = []
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def submit(self, rows: Rows) -> asyncio.Future[None]:
        """Queue rows; the future ends with the commit, `Fenced`, or `StorageFailed`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(Sealed("The checkpoint storage is closed."))
            return future
        self._queue.append((rows, future))
        self._work.set()
        if self._task is None:
            # A fresh context: the writer must not live in that of whichever run wrote first.
            self._task = asyncio.create_task(self._run(), name="checkpoints", context=contextvars.Context())
        return future

    async def close(self) -> None:
        """Refuse further rows, end the writer, and fail what is still queued."""
        self._closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        waiting, self._queue = self._queue, []
        _resolve(waiting, Sealed("The checkpoint storage is closed."))

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            part = self._take()
            if not self._queue:
                self._work.clear()
            try:
                await self._write(part)
            except asyncio.CancelledError:
                _resolve(part, Sealed("The checkpoint storage was closed during a write."))
                raise

    def _take(self) -> list[tuple[Rows, asyncio.Future[None]]]:
        """The next batch: in order, and with one epoch per thread, so that an old writer waits for its own turn."""
        epochs: dict[UUID, int] = {}
        count = 0
        for rows, _ in self._queue[:BATCH]:
            if epochs.setdefault(rows.thread_id, rows.epoch) != rows.epoch:
                break
            count += 1
        part, self._queue = self._queue[:count], self._queue[count:]
        return part

    async def _write(self, part: list[tuple[Rows, asyncio.Future[None]]]) -> None:
        try:
            alive = await self._commit_with_retries(merge([rows for rows, _ in part]))
        except StorageFailed as failure:
            _resolve(part, failure)
        except Exception as error:
            if len(part) == 1:
                _resolve(part, StorageFailed(f"A checkpoint could not be written: {error}"), cause=error)
                return
            # One bad row fails the whole statement: each caller's rows by themselves fail only their own run.
            logger.warning("A batch of %s checkpoint writes failed; writing them one by one.", len(part))
            for each in part:
                await self._write([each])
        else:
            for rows, future in part:
                if future.done():
                    continue
                if rows.thread_id in alive:
                    future.set_result(None)
                else:
                    future.set_exception(Fenced(f"Epoch {rows.epoch} of thread {rows.thread_id} is over."))

    async def _commit_with_retries(self, batch: Batch) -> set[UUID]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._retry_seconds
        pause = BACKOFF
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._commit(batch)
            except (Unavailable, TimeoutError) as error:
                if loop.time() + pause >= deadline:
                    raise StorageFailed(
                        f"The checkpoint storage was unavailable for {self._retry_seconds:g} s."
                    ) from error
                logger.warning(
                    "The checkpoint storage is unavailable, trying again in %g s: %s", pause, error
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_BACKOFF)


def _resolve(
    part: list[tuple[Rows, asyncio.Future[None]]], error: Exception, *, cause: Exception | None = None
) -> None:
    for _, future in part:
        if not future.done():
            failure = type(error)(*error.args)
            failure.__cause__ = cause or error.__cause__
            future.set_exception(failure)
