"""Checkpoints of this site's database; the only module that knows which database it is.

On PostgreSQL they are in that database; on SQLite in a separate file (`file`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import UUID

from django.db import connection
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from threads.checkpoints.copies import Part
from threads.checkpoints.postgres import copying as postgres_copying
from threads.checkpoints.postgres import direct as postgres
from threads.checkpoints.postgres.pruning import PostgresPruning
from threads.checkpoints.postgres.storage import open_postgres
from threads.checkpoints.pruning import Pruning
from threads.checkpoints.rows import Batch
from threads.checkpoints.sqlite import copying as sqlite_copying
from threads.checkpoints.sqlite import direct as sqlite
from threads.checkpoints.sqlite import landing
from threads.checkpoints.sqlite.pruning import SqlitePruning
from threads.checkpoints.sqlite.storage import open_sqlite
from threads.checkpoints.storage import CheckpointStorage


@asynccontextmanager
async def open_checkpoints(
    *, file: str | Path, serde: JsonPlusSerializer, retry_seconds: float = 20.0, connections: int = 10
) -> AsyncIterator[CheckpointStorage]:
    """Open the storage beside Django's default database: on PostgreSQL in it, on SQLite in `file`.

    Args:
        retry_seconds: How long a write is retried while the database is unavailable.
        connections: The largest number of PostgreSQL connections.
    """
    if connection.vendor == "postgresql":
        opened: AbstractAsyncContextManager[CheckpointStorage] = open_postgres(
            serde=serde, retry_seconds=retry_seconds, connections=connections
        )
    else:
        opened = open_sqlite(file, serde=serde, retry_seconds=retry_seconds)
    async with opened as storage:
        try:
            yield storage
        finally:
            await storage.commits.close()


def open_pruning(*, file: str | Path) -> Pruning:
    """Pruning for this site's database: on PostgreSQL in it, on SQLite in `file`."""
    if connection.vendor == "postgresql":
        return PostgresPruning()
    return SqlitePruning(Path(file))


def land(batch: Batch, *, file: str | Path) -> None:
    """Write a draft's rows, which become visible with the commit of the caller's transaction, or never.

    The transaction has locked the thread and set the draft's epoch.
    """
    if connection.vendor == "postgresql":
        postgres.land(batch)
    else:
        landing.land(batch, Path(file))


def parts_of(source: UUID, *, file: str | Path) -> list[Part]:
    """All that a copy of the thread's checkpoints consists of, the newest first."""
    if connection.vendor == "postgresql":
        return postgres_copying.parts(source)
    return sqlite_copying.parts(source, Path(file))


def copy_parts(source: UUID, target: UUID, page: Sequence[Part], *, file: str | Path) -> None:
    """Copy some of a thread's checkpoints in the caller's transaction, which has locked the target.

    The database copies the rows; none pass through this process. Raises SourceChanged.
    """
    if connection.vendor == "postgresql":
        postgres_copying.copy(source, target, page)
    else:
        sqlite_copying.copy(source, target, page, Path(file))


def has_checkpoint(thread_id: UUID, checkpoint_id: str, *, file: str | Path) -> bool:
    """Whether a checkpoint of the thread's root graph is stored; a run's log may name one that never was."""
    if connection.vendor == "postgresql":
        return postgres.exists(thread_id, checkpoint_id)
    return sqlite.exists(thread_id, checkpoint_id, Path(file))
