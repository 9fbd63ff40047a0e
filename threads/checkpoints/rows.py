"""The rows of a write, independent of the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointMetadata, get_serializable_checkpoint_metadata

Key = TypeVar("Key", bound=tuple[Any, ...])


class Sealed(RuntimeError):
    """This run was stopped; its writer refuses late writes."""


class Fenced(RuntimeError):
    """Another writer has taken the thread over; this one can no longer change it."""


class StorageFailed(RuntimeError):
    """The checkpoint storage did not accept a write, and retrying did not help."""


class StateTooLarge(StorageFailed):
    """The thread's state exceeds the allowed size."""


class StorageUnavailable(StorageFailed):
    """The checkpoint storage was unreachable for longer than a run waits."""


@dataclass(slots=True)
class Rows:
    """The rows of one saver call. Keys are the tables' primary keys without the thread."""

    thread_id: UUID
    epoch: int
    #: (ns, channel, version) -> (type, blob)
    blobs: dict[tuple[str, str, str], tuple[str, bytes | None]] = field(default_factory=dict)
    #: (ns, checkpoint id) -> (parent id, checkpoint, metadata), in the storage's encoding
    checkpoints: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    #: (ns, checkpoint id, task id, idx) -> (task path, channel, type, blob)
    writes: dict[tuple[str, str, str, int], tuple[str, str, str, bytes]] = field(default_factory=dict)
    #: Size of the encoded values in bytes.
    size: int = 0


@dataclass(slots=True)
class Batch:
    """The rows of many writers, ready for one statement per table: each primary key occurs once."""

    fences: dict[UUID, int] = field(default_factory=dict)
    blobs: dict[tuple[UUID, str, str, str], tuple[str, bytes | None]] = field(default_factory=dict)
    checkpoints: dict[tuple[UUID, str, str], tuple[Any, ...]] = field(default_factory=dict)
    replaced: dict[tuple[UUID, str, str, str, int], tuple[str, str, str, bytes]] = field(default_factory=dict)
    added: dict[tuple[UUID, str, str, str, int], tuple[str, str, str, bytes]] = field(default_factory=dict)


def described(config: RunnableConfig, metadata: CheckpointMetadata) -> dict[str, Any]:
    """A checkpoint's metadata: LangGraph's own and the run's.

    Stock savers add the contents of `configurable`, where clients put keys and tokens. They are
    left out here, so that neither the database nor the states that clients read contain them.
    """
    run_id = config.get("configurable", {}).get("run_id")
    own: RunnableConfig = {
        "metadata": config.get("metadata") or {},
        "configurable": {"run_id": run_id} if run_id is not None else {},
    }
    return dict(get_serializable_checkpoint_metadata(own, metadata))


def merge(parts: list[Rows]) -> Batch:
    """Merge saver calls with the effect of writing them one after the other.

    A statement with ON CONFLICT DO UPDATE must not contain a key twice, so rows that a later call
    overwrites are dropped here. `parts` must hold at most one epoch per thread.
    """
    batch = Batch()
    for part in parts:
        thread = part.thread_id
        batch.fences[thread] = part.epoch
        for blob_key, blob in part.blobs.items():
            batch.blobs.setdefault((thread, *blob_key), blob)
        for key, checkpoint in part.checkpoints.items():
            batch.checkpoints[thread, *key] = checkpoint
        for write_key, write in part.writes.items():
            full_key = (thread, *write_key)
            # LangGraph's numbers of errors, interrupts and answers are negative, and those are replaced. A task that
            # ends writes all its answers again beside its results.
            if write_key[-1] < 0:
                batch.added.pop(full_key, None)
                batch.replaced[full_key] = write
            elif full_key not in batch.replaced:
                batch.added.setdefault(full_key, write)
    return batch
