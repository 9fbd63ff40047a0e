"""The interface of a checkpoint storage, for any database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP as REPLACED
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from threads.checkpoints.commits import GroupCommit
from threads.checkpoints.pruning import Pruning
from threads.checkpoints.rows import Rows

#: Pending writes of a thread's newest checkpoints, as JSON-ready rows, for a later restore.
Snapshot = list[list[Any]]
#: Addresses of checkpoints within a thread: (namespace, checkpoint id).
Places = Collection[tuple[str, str]]


def addressed(checkpoint: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """The checkpoints that a run's request names.

    The run may write to them, even if they are not the newest.
    """
    given = checkpoint or {}
    places = dict(given.get("checkpoint_map") or {})
    if given.get("checkpoint_id"):
        places[given.get("checkpoint_ns") or ""] = given["checkpoint_id"]
    return sorted(places.items())


class CheckpointStorage(ABC):
    """LangGraph's checkpoint tables in one database, in the stock saver's encodings."""

    serde: JsonPlusSerializer
    commits: GroupCommit

    @abstractmethod
    def reader(self) -> BaseCheckpointSaver[str]:
        """A stock saver for reading; its writing methods must not be used."""

    @abstractmethod
    def encode_checkpoint(
        self,
        rows: Rows,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> int:
        """Add a checkpoint's rows; return their size in bytes."""

    def encode_writes(
        self,
        rows: Rows,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str,
    ) -> int:
        """Add a task's pending writes; return their size in bytes."""
        configurable = config["configurable"]
        place = (str(configurable.get("checkpoint_ns", "")), str(configurable["checkpoint_id"]))
        size = 0
        for index, (channel, value) in enumerate(writes):
            kind, blob = self.serde.dumps_typed(value)
            size += len(blob)
            rows.writes[*place, task_id, REPLACED.get(channel, index)] = (task_path, channel, kind, blob)
        return size

    @abstractmethod
    def pruning(self) -> Pruning:
        """The pruning of these tables."""

    @abstractmethod
    async def snapshot_writes(self, thread_id: UUID, *, also: Places = ()) -> Snapshot:
        """The pending writes of each namespace's newest checkpoint, and of those in `also`."""

    @abstractmethod
    async def places_of_run(self, thread_id: UUID, run_id: str) -> list[tuple[str, str]]:
        """The checkpoints that a run created: (namespace, checkpoint id)."""

    @abstractmethod
    async def remove_run(
        self, thread_id: UUID, run_id: UUID, *, epoch: int, writes: Snapshot | None, also: Places = ()
    ) -> None:
        """Remove a run's checkpoints and restore the writes that it overwrote. Idempotent.

        Args:
            writes: The snapshot taken before the run's first write to an existing checkpoint; None
                if there was no such write.
            also: The other checkpoints that the snapshot covers.

        Raises Fenced if the epoch is over.
        """
