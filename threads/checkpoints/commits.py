"""Group commit: the writes that are queued during a transaction share the next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from threads.checkpoints.rows import Batch, Fenced, Rows, Sealed, StorageFailed, StorageUnavailable, merge
from threads.db.errors import is_full
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

#: The most saver calls, and bytes of them, in one transaction. They bound how long it delays others, and the
#: memory of its statement. A larger call has a transaction of its own.
BATCH, BATCH_BYTES = 200, 32 * 1024 * 1024
#: The first pause before a transaction is retried, and the longest, in seconds; each pause doubles.
BACKOFF, LONGEST_BACKOFF = 0.05, 2.0


class Unavailable(Exception):
    """The database was unreachable or asked for a retry; the same batch may succeed later."""


class Refused(Unavailable):
    """The database aborted this transaction over time, memory or locks; a part may succeed."""


#: Saver calls that share a transaction, in order, each with the future that its caller awaits.
Part = list[tuple[Rows, asyncio.Future[None]]]
#: Writes a batch in one transaction and returns the threads whose epoch was current; nothing of the others is
#: written.
Commit = Callable[[Batch], Awaitable[set[UUID]]]


class GroupCommit:
    """The one writer of checkpoints in this process.

    Args:
        commit: Writes one batch atomically. Raises `Unavailable` for transient faults.
        retry_seconds: How long a batch is retried while the database is unavailable; shorter than a worker's lease.
    """

    def __init__(self, commit: Commit, *, retry_seconds: float) -> None:
        self._commit = commit
        self.retry_seconds = retry_seconds
        self._queue: Part = []
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._fault: Exception | None = None
        #: Calls that are retried apart from the others, by the task that retries them.
        self._late: dict[asyncio.Task[None], list[Part]] = {}

    def submit(self, rows: Rows) -> asyncio.Future[None]:
        """Queue rows; the future ends with the commit, `Fenced`, or `StorageFailed`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(Sealed("The checkpoint storage is closed."))
            return future
        self._queue.append((rows, future))
        self._work.set()
        if self._task is None:
            # A fresh context: the writer must not keep the context of the run that wrote first.
            self._task = spawn(self._run(), "checkpoints")
        return future

    async def close(self) -> None:
        """Refuse further rows, stop the writer, and fail the rows that are still queued."""
        self._closed = True
        late = [call for parts in self._late.values() for part in parts for call in part]
        tasks = [*self._late, *([self._task] if self._task is not None else [])]
        self._task = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        waiting, self._queue = [*late, *self._queue], []
        _resolve(waiting, Sealed("The checkpoint storage is closed."))

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            if part := self._take():
                await self._write(part)
            else:
                self._work.clear()

    def _take(self) -> Part:
        """The next batch: in order, with one epoch per thread.

        A second epoch waits for a later batch.

        A thread with earlier calls that are being retried stays in the queue behind them.
        """
        part: Part = []
        rest: Part = []
        epochs: dict[UUID, int] = {}
        size = 0
        blocked = {rows.thread_id for parts in self._late.values() for part in parts for rows, _ in part}
        for call in self._queue:
            thread_id, epoch = call[0].thread_id, call[0].epoch
            if (
                len(part) < BATCH
                and (not part or size + call[0].size <= BATCH_BYTES)
                and thread_id not in blocked
                and epochs.setdefault(thread_id, epoch) == epoch
            ):
                part.append(call)
                size += call[0].size
            else:
                blocked.add(thread_id)
                rest.append(call)
        self._queue = rest
        return part

    async def _write(self, part: Part) -> None:
        """Write a batch.

        All calls wait while the storage is unavailable; a refused call delays no others.
        """
        deadline = asyncio.get_running_loop().time() + self.retry_seconds
        try:
            late = await self._try(part, deadline)
            if sum(map(len, late)) == len(part) and not isinstance(self._fault, Refused):
                await self._try_until(deadline, late)
                return
        except asyncio.CancelledError:
            _resolve(part, Sealed("The checkpoint storage was closed during a write."))
            raise
        if late:
            task = asyncio.create_task(self._try_until(deadline, late), name="late checkpoints")
            self._late[task] = late
            task.add_done_callback(self._caught_up)

    def _caught_up(self, task: asyncio.Task[None]) -> None:
        self._late.pop(task, None)
        self._work.set()

    async def _try_until(self, deadline: float, late: list[Part]) -> None:
        """Retry after transient faults until the deadline."""
        loop = asyncio.get_running_loop()
        pause = BACKOFF
        while late:
            if loop.time() + pause >= deadline:
                full = ": the disk is full" if self._fault is not None and is_full(self._fault) else ""
                failure = StorageUnavailable(
                    f"The checkpoint storage was unavailable for {self.retry_seconds:g} s{full}."
                )
                for each in late:
                    _resolve(each, failure, cause=self._fault)
                return
            logger.warning("The checkpoint storage is unavailable; retrying in %g s: %s", pause, self._fault)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_BACKOFF)
            late = await self._try_each(late, deadline)

    async def _try(self, part: Part, deadline: float) -> list[Part]:
        """Write calls in one transaction, once; return those to retry after a transient fault."""
        try:
            async with asyncio.timeout_at(deadline):
                alive = await self._commit(merge([rows for rows, _ in part]))
        except (Unavailable, TimeoutError) as error:
            self._fault = error
            if len(part) == 1 or not isinstance(error, Refused):
                return [part]
            return await self._try_alone(part, deadline, error)
        except Exception as error:
            if len(part) > 1:
                return await self._try_alone(part, deadline, error)
            _resolve(part, StorageFailed(f"A checkpoint could not be written: {error}"), cause=error)
            return []
        for rows, future in part:
            if future.done():
                continue
            if rows.thread_id in alive:
                future.set_result(None)
            else:
                future.set_exception(Fenced(f"Epoch {rows.epoch} of thread {rows.thread_id} is over."))
        return []

    async def _try_each(self, parts: list[Part], deadline: float) -> list[Part]:
        """Try transactions one by one; return those to retry. A thread's calls land in order."""
        again: list[Part] = []
        behind: set[UUID] = set()
        for part in parts:
            owners = {rows.thread_id for rows, _ in part}
            late = [part] if owners & behind else await self._try(part, deadline)
            behind.update(rows.thread_id for each in late for rows, _ in each)
            again += late
        return again

    async def _try_alone(self, part: Part, deadline: float, error: Exception) -> list[Part]:
        """Try each call by itself, because a bad row fails its whole statement."""
        logger.warning(
            "A batch of %s checkpoint writes failed; writing them one by one: %s", len(part), error
        )
        return await self._try_each([[each] for each in part], deadline)


def _resolve(part: Part, error: Exception, *, cause: Exception | None = None) -> None:
    for _, future in part:
        if not future.done():
            failure = type(error)(*error.args)
            failure.__cause__ = cause or error.__cause__
            future.set_exception(failure)
