"""Draft: the saver of an edit, whose writes land together, in the transaction that makes the edit known."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_metadata,
)

from threads.checkpoints.pruning import Place
from threads.checkpoints.rows import Batch, Rows, StateTooLarge, merge
from threads.checkpoints.storage import CheckpointStorage
from threads.checkpoints.writer import ThreadWriter


class Draft(ThreadWriter):
    """A writer that keeps its rows until they are landed, and reads what it has made so far as if it had landed.

    An update of the state is several calls of its saver (a checkpoint, the writes of its tasks), and one with several
    supersteps reads the checkpoints between them. A death among them must not leave half of it.

    Args:
        epoch: The epoch of the thread that the edit will take.
        empty: Whether the thread is a new one, which has nothing in the storage.
        most: Bytes that the whole edit may have, 0 for any number.
    """

    def __init__(
        self,
        storage: CheckpointStorage,
        *,
        thread_id: UUID,
        epoch: int,
        empty: bool = False,
        most: int = 0,
    ) -> None:
        super().__init__(storage, thread_id=thread_id, epoch=epoch)
        self._most = most
        self._empty = empty
        self._size = 0
        self._parts: list[Rows] = []
        self._made: dict[Place, CheckpointTuple] = {}
        self._added: defaultdict[Place, list[PendingWrite]] = defaultdict(list)

    @property
    def batch(self) -> Batch:
        """Everything that is to be written."""
        return merge(self._parts)

    async def _land(self, rows: Rows) -> None:
        self._size += rows.size
        if 0 < self._most < self._size:
            raise StateTooLarge(f"The edit writes more than {self._most} bytes.")
        self._parts.append(rows)
        # Between the supersteps of an edit others go on.
        await asyncio.sleep(0)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        place, parent = saved["configurable"], config["configurable"].get("checkpoint_id")
        self._made[place["checkpoint_ns"], place["checkpoint_id"]] = CheckpointTuple(
            saved,
            # As it would be read: what follows must not change it, nor be changed by it.
            self.serde.loads_typed(self.serde.dumps_typed(checkpoint)),
            get_checkpoint_metadata(config, metadata),
            {"configurable": {**place, "checkpoint_id": parent}} if parent else None,
            [],
        )
        return saved

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await super().aput_writes(config, writes, task_id, task_path)
        place = config["configurable"]
        self._added[place.get("checkpoint_ns", ""), place["checkpoint_id"]] += [
            (task_id, channel, value) for channel, value in writes
        ]

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        place = config["configurable"]
        ns, wanted = place.get("checkpoint_ns", ""), place.get("checkpoint_id")
        newest = max((name for each, name in self._made if each == ns), default=None)
        found = self._made.get((ns, wanted or newest or ""))
        if found is None and not self._empty:
            found = await super().aget_tuple(config)
        if found is None:
            return None
        added = self._added.get((ns, found.checkpoint["id"]), [])
        return found._replace(pending_writes=[*(found.pending_writes or []), *added])

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        # The storage's own would not see what is not written yet.
        return await BaseCheckpointSaver.aget_delta_channel_history(self, config=config, channels=channels)
