"""Opening the checkpoint storage of this site's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from django.db import connection
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from threads.checkpoints.pruning import Pruning
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
        from threads.checkpoints.postgres.storage import open_postgres

        opened: AbstractAsyncContextManager[CheckpointStorage] = open_postgres(
            serde=serde, retry_seconds=retry_seconds, connections=connections
        )
    else:
        from threads.checkpoints.sqlite.storage import open_sqlite

        opened = open_sqlite(file, serde=serde, retry_seconds=retry_seconds)
    async with opened as storage:
        try:
            yield storage
        finally:
            await storage.commits.close()


def open_pruning(*, file: str | Path) -> Pruning:
    """Pruning of the checkpoints of this site's database: on PostgreSQL in it, on SQLite in `file`."""
    if connection.vendor == "postgresql":
        from threads.checkpoints.postgres.pruning import PostgresPruning

        return PostgresPruning()
    from threads.checkpoints.sqlite.pruning import SqlitePruning

    return SqlitePruning(Path(file))
