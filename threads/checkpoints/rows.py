"""What a write consists of, apart from any database."""

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
    """Another writer has taken the thread over; this one changes nothing any more."""


class StorageFailed(RuntimeError):
    """The checkpoint storage did not accept a write, and retrying did not help."""


class StateTooLarge(StorageFailed):
    """The thread's state is larger than is allowed."""


class StorageUnavailable(StorageFailed):
    """The checkpoint storage could not be reached for longer than a run waits for it."""


@dataclass(slots=True)
class Rows:
    """The rows of one saver call of one writer. The keys are the tables' primary keys without the thread."""

    thread_id: UUID
    epoch: int
    #: (ns, channel, version) -> (type, blob)
    blobs: dict[tuple[str, str, str], tuple[str, bytes | None]] = field(default_factory=dict)
    #: (ns, checkpoint id) -> (parent id, checkpoint, metadata); encoded as the storage wants them
    checkpoints: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    #: (ns, checkpoint id, task id, idx) -> (task path, channel, type, blob)
    writes: dict[tuple[str, str, str, int], tuple[str, str, str, bytes]] = field(default_factory=dict)
    #: Bytes of what was encoded.
    size: int = 0
    #: Whether `writes` replace what is there; LangGraph replaces errors, interrupts and answers, and nothing else.
    replace: bool = False


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

    Stock savers add what is in `configurable`, where clients put keys and tokens; it stays out of the database's copies of
    a thread, and of the thread's state that clients read.
    """
    run_id = config.get("configurable", {}).get("run_id")
    own: RunnableConfig = {
        "metadata": config.get("metadata") or {},
        "configurable": {"run_id": run_id} if run_id is not None else {},
    }
    return dict(get_serializable_checkpoint_metadata(own, metadata))


def merge(parts: list[Rows]) -> Batch:
    """Merge saver calls, in their order, as if each had been written after the one before it.

    A statement with ON CONFLICT DO UPDATE must not meet a key twice, so what a later call would overwrite is
    dropped here. `parts` must hold at most one epoch per thread.
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
            if part.replace:
                batch.added.pop(full_key, None)
                batch.replaced[full_key] = write
            elif full_key not in batch.replaced:
                batch.added.setdefault(full_key, write)
    return batch
