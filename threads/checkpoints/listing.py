"""Shared by both checkpoint readers: what a list asks for, and rows as LangGraph's tuples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

#: A stored write: task id, channel, type, value, task path, index.
Write = tuple[str, str, str, bytes, str, int]


@dataclass(frozen=True, slots=True)
class Listing:
    """A request for the checkpoints of one namespace of a thread, newest first."""

    thread_id: str
    ns: str
    metadata: Mapping[str, Any]
    #: Only checkpoints older than this one.
    before: str | None
    limit: int | None

    @classmethod
    def of(
        cls,
        config: RunnableConfig | None,
        filter: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Self | None:
        """The request in the arguments of a saver's `alist`.

        None if it covers more than one namespace, or names one checkpoint.
        """
        place = (config or {}).get("configurable") or {}
        if "thread_id" not in place or place.get("checkpoint_ns") is None or place.get("checkpoint_id"):
            return None
        older = get_checkpoint_id(before) if before else None
        return cls(str(place["thread_id"]), place["checkpoint_ns"], filter or {}, older, limit)

    def tuple(
        self,
        name: str,
        parent: str | None,
        checkpoint: Any,
        metadata: Any,
        writes: list[tuple[str, str, Any]],
    ) -> CheckpointTuple:
        return CheckpointTuple(
            self._config(name),
            checkpoint,
            cast(CheckpointMetadata, metadata),
            self._config(parent) if parent else None,
            writes,
        )

    def _config(self, name: str) -> RunnableConfig:
        place = {"thread_id": self.thread_id, "checkpoint_ns": self.ns, "checkpoint_id": name}
        return {"configurable": place}


def decoded(writes: Iterable[Write], serde: SerializerProtocol) -> list[tuple[str, str, Any]]:
    """Pending writes in the order in which they take effect."""
    ordered = sorted(writes, key=lambda write: writes_sort_key(write[4], write[0], write[5]))
    return [(task, channel, serde.loads_typed((kind, value))) for task, channel, kind, value, _, _ in ordered]
