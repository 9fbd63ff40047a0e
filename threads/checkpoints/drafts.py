"""Draft: the saver of an edit, whose writes land in the transaction that records the edit."""

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
    """A writer that buffers its rows until they land, and reads them as if they had landed.

    An update of the state makes several saver calls (a checkpoint, the writes of its tasks). One
    with several supersteps reads the checkpoints between them. A crash must not leave half of the
    update.

    Args:
        epoch: The epoch of the thread that the edit will take.
        empty: Whether the thread is new and has nothing in the storage.
        most: The most bytes of the whole edit; 0 for no limit.
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
        #: Values of channels that the edit's checkpoints have, whatever an update made of them.
        self.changes: Mapping[str, Any] = {}

    @property
    def batch(self) -> Batch:
        """All rows of the edit."""
        return merge(self._parts)

    async def _land(self, rows: Rows) -> None:
        self._size += rows.size
        if 0 < self._most < self._size:
            raise StateTooLarge(f"The edit writes more than {self._most} bytes.")
        self._parts.append(rows)
        # Let other tasks run between the supersteps of an edit.
        await asyncio.sleep(0)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if self.changes:
            versions: dict[str, Any] = {**checkpoint["channel_versions"]}
            changed = {name: self.get_next_version(versions.get(name), None) for name in self.changes}
            checkpoint = {
                **checkpoint,
                "channel_values": {**checkpoint["channel_values"], **self.changes},
                "channel_versions": {**versions, **changed},
            }
            new_versions = {**new_versions, **changed}
        saved = await super().aput(config, checkpoint, metadata, new_versions)
        place, parent = saved["configurable"], config["configurable"].get("checkpoint_id")
        self._made[place["checkpoint_ns"], place["checkpoint_id"]] = CheckpointTuple(
            saved,
            # A copy, as a read would return: later changes on either side must not affect the other.
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
        # The storage's own method would not see the buffered rows.
        return await BaseCheckpointSaver.aget_delta_channel_history(self, config=config, channels=channels)
