"""ThreadWriter: the saver of one writer of one thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)

from threads.checkpoints.in_flight import InFlight, shielded
from threads.checkpoints.loop_bound import LoopBound
from threads.checkpoints.reads import read_again
from threads.checkpoints.rows import Rows, StateTooLarge
from threads.checkpoints.storage import CheckpointStorage, Snapshot, addressed
from threads.checkpoints.versions import go_on_after, version_after
from threads.db.executors import in_thread

T = TypeVar("T")

#: Values from this size in bytes are serialised off the event loop; below it, a thread hop costs more than
#: the work.
LARGE = 256 * 1024


class ThreadWriter(LoopBound):
    """All checkpoint reads and writes of one run, under one epoch of its thread.

    Shield: a started write lands even if the run's task is cancelled; the cancellation is delivered
    afterwards. Track and seal: `quiesce()` waits for the writes in flight, `seal()` refuses later
    ones. Fence: the storage checks the epoch in each transaction. A write that fails permanently
    calls `on_failure`, because in `async` durability LangGraph would continue without effect
    (reference: measured, durability §2.8).

    Args:
        largest: The most bytes of one write; 0 for no limit.
        on_failure: Called once, with the error of the first write that failed permanently or
            cannot be encoded.
        run_id: The run that writes, as its checkpoints' metadata name it.
        on_base: Awaited once, before the first pending write to a checkpoint that the run did not
            create. Without it the overwritten rows could not be rolled back.
    """

    def __init__(
        self,
        storage: CheckpointStorage,
        *,
        thread_id: UUID,
        epoch: int,
        run_id: UUID | None = None,
        largest: int = 0,
        on_failure: Callable[[Exception], None] = lambda _: None,
        on_base: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        super().__init__(serde=storage.serde)
        self._storage = storage
        self._reader = storage.reader()
        self._thread_id = thread_id
        self._epoch = epoch
        self._limit = largest
        self._on_failure = on_failure
        self._on_base = on_base
        self._run_id = str(run_id)
        self._base_lock = asyncio.Lock()
        self._found: set[tuple[str, str]] = set()
        self._wrote = False
        self._failed = False
        self._in_flight = InFlight()
        self._largest = 0

    def seal(self) -> None:
        """Refuse every later write."""
        self._in_flight.sealed = True

    @property
    def busy(self) -> bool:
        """Whether a write is in flight."""
        return self._in_flight.busy

    async def quiesce(self) -> None:
        """Wait until no write is in flight.

        Unless the writer is sealed, a new one may begin meanwhile.
        """
        await self._in_flight.quiesce()

    # --- writes

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await self._here(
            lambda: self._in_flight.begun(self._put(config, checkpoint, metadata, new_versions))
        )

    async def _put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        rows = self._rows()
        namespace = config["configurable"].get("checkpoint_ns", "")
        if namespace and self._on_base is not None and any(place == namespace for place, _ in self._found):
            # In `exit` durability no pending writes precede it; later ones may overwrite those of the
            # previous checkpoint.
            await self._keep_base()
        if self._base_lock.locked():
            # The rows that the run overwrites are being read from the newest checkpoint; this one must not
            # become it first.
            async with self._base_lock:
                pass
        await self._encode(self._storage.encode_checkpoint, rows, config, checkpoint, metadata, new_versions)
        await self._land(rows)
        return {
            "configurable": {
                "thread_id": config["configurable"]["thread_id"],
                "checkpoint_ns": config["configurable"].get("checkpoint_ns", ""),
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await self._here(lambda: self._in_flight.begun(self._put_writes(config, writes, task_id, task_path)))

    async def _put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> None:
        rows = self._rows()
        configurable = config["configurable"]
        if (configurable.get("checkpoint_ns", ""), configurable["checkpoint_id"]) in self._found:
            await self._keep_base()
        await self._encode(self._storage.encode_writes, rows, config, writes, task_id, task_path)
        await self._land(rows)

    async def _keep_base(self) -> None:
        async with self._base_lock:
            if self._on_base is not None:
                await shielded(asyncio.ensure_future(self.patiently(self._on_base)))
                self._on_base = None

    def _rows(self) -> Rows:
        self._in_flight.require_open()
        return Rows(thread_id=self._thread_id, epoch=self._epoch)

    async def _encode(self, encode: Callable[..., int], rows: Rows, *args: Any) -> None:
        try:
            if self._largest < LARGE:
                size = encode(rows, *args)
                self._largest = max(self._largest, size)
            else:
                size = await shielded(asyncio.ensure_future(in_thread(encode, rows, *args)))
            rows.size = size
            if 0 < self._limit < size:
                raise StateTooLarge(f"A step's state has {size} bytes; at most {self._limit} are allowed.")
        except Exception as error:
            self._fail(error)
            raise

    async def _land(self, rows: Rows) -> None:
        self._in_flight.require_open()
        self._wrote = True
        await self._in_flight.landed(self._storage.commits.submit(rows), on_failure=self._fail)

    def _fail(self, error: Exception) -> None:
        if not self._failed and not self._in_flight.sealed:
            self._failed = True
            self._on_failure(error)

    # --- reads

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await self._here(lambda: self._get_tuple(config))

    async def _get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        if self._epoch == 1 and not self._wrote:
            # The thread's first writer: nothing is stored yet, and a query would cost as much as a step.
            return None
        found = await self.patiently(lambda: self._reader.aget_tuple(config))
        if found is not None:
            go_on_after(found.checkpoint["id"])
            self.note(found)
        return found

    def note(self, found: CheckpointTuple) -> None:
        """Remember a checkpoint that was read, if another writer created it."""
        if not self.is_ours(found):
            place = found.config["configurable"]
            self._found.add((place.get("checkpoint_ns", ""), place["checkpoint_id"]))

    def is_ours(self, found: CheckpointTuple) -> bool:
        """Whether this run created a checkpoint, in this attempt or an earlier one."""
        return (found.metadata or {}).get("run_id") == self._run_id

    def made(self, checkpoint_id: str) -> bool:
        """Whether this run created a checkpoint that was already read or written."""
        return all(checkpoint_id != found for _, found in self._found)

    async def snapshot(self, checkpoint: Mapping[str, Any] | None = None, *, whole: bool = False) -> Snapshot:
        """The pending writes of the newest checkpoints, and of the one that a run continues from.

        Args:
            checkpoint: The checkpoint that the run's request names.
            whole: Whether to include all checkpoints that the run created.
        """

        async def read() -> Snapshot:
            places = addressed(checkpoint)
            if whole:
                places += await self._storage.places_of_run(self._thread_id, self._run_id)
            return await self._storage.snapshot_writes(self._thread_id, also=places)

        return await self.patiently(read)

    async def patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        """Make a call that may be repeated, such as a read, also if the database is away for a moment.

        Raises StorageUnavailable after the time for which writes are repeated.
        """
        return await read_again(read, seconds=self._storage.commits.retry_seconds)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        if self.is_here():
            async for found in self._reader.alist(config, filter=filter, before=before, limit=limit):
                yield found
            return
        for found in await self._here(
            lambda: self._collect(config, filter=filter, before=before, limit=limit)
        ):
            yield found

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        return await self._here(
            lambda: self.patiently(
                lambda: self._reader.aget_delta_channel_history(config=config, channels=channels)
            )
        )

    def with_allowlist(self, extra_allowlist: Any) -> ThreadWriter:
        """Allow these classes in checkpoints too.

        Returns this object; a clone would have its own seal.
        """
        self._reader = self._reader.with_allowlist(extra_allowlist)
        return self

    def get_next_version(self, current: str | int | None, channel: None) -> str:
        """The version after `current`, for LangGraph."""
        return version_after(current)
