"""Checkpoints in a separate SQLite file; each thread is fenced by its epoch in the main file."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import aiosqlite
from django.db import OperationalError, connection
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from threads.checkpoints.commits import GroupCommit, Unavailable
from threads.checkpoints.rows import Batch, Fenced, Rows, described
from threads.checkpoints.sqlite import landing
from threads.checkpoints.sqlite.pruning import SqlitePruning
from threads.checkpoints.sqlite.reader import SqliteReader
from threads.checkpoints.sqlite.statements import ADD, CHECKPOINT, REPLACE
from threads.checkpoints.storage import CheckpointStorage, Places, Snapshot
from threads.db.database import in_database
from threads.models import Thread

T = TypeVar("T")

#: A separate connection to the main file: if it were attached, each write would lock it.
EPOCHS = f"SELECT id, epoch FROM {Thread._meta.db_table} WHERE id IN (SELECT value FROM json_each(?))"
HEADS = """SELECT checkpoint_ns, max(checkpoint_id) FROM checkpoints
    WHERE thread_id = :thread GROUP BY checkpoint_ns
    UNION SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:also)"""
OF_RUN = """SELECT checkpoint_ns, checkpoint_id FROM checkpoints
    WHERE thread_id = :thread AND json_extract(CAST(metadata AS TEXT), '$.run_id') = :run"""


class SqliteCheckpoints(CheckpointStorage):
    """The stock saver's tables in one file: a stock saver reads, and one thread writes."""

    def __init__(self, reader: SqliteReader, file: Path, *, retry_seconds: float) -> None:
        self.serde = reader.serde  # type: ignore[assignment]
        self.commits = GroupCommit(self._commit, retry_seconds=retry_seconds)
        self._reader = reader
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._site_file = Path(str(connection.settings_dict["NAME"]))
        #: The write thread's connections, by file, opened at first use.
        self._connections: dict[Path, sqlite3.Connection] = {}

    def reader(self) -> BaseCheckpointSaver[str]:
        return self._reader

    def encode_checkpoint(
        self,
        rows: Rows,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> int:
        configurable = config["configurable"]
        kind, blob = self.serde.dumps_typed(checkpoint)
        text = json.dumps(described(config, metadata), ensure_ascii=False, default=str)
        rows.checkpoints[configurable.get("checkpoint_ns", ""), checkpoint["id"]] = (
            configurable.get("checkpoint_id"),
            kind,
            blob,
            text.encode("utf-8", "ignore"),
        )
        return len(blob)

    async def _commit(self, batch: Batch) -> set[UUID]:
        def write(db: sqlite3.Connection) -> set[UUID]:
            live = self._live(batch.fences)
            for query, rows in (
                (CHECKPOINT, batch.checkpoints),
                (REPLACE, batch.replaced),
                (ADD, batch.added),
            ):
                db.executemany(
                    query,
                    [(str(key[0]), *key[1:], *values) for key, values in rows.items() if key[0] in live],
                )
            return live

        try:
            await landing.settled(batch.fences, self._file)
            return await self._transaction(write)
        except (sqlite3.OperationalError, OperationalError) as error:
            raise Unavailable(str(error)) from error

    def _live(self, fences: Mapping[UUID, int]) -> set[UUID]:
        """The threads whose epoch is current.

        A write under it counts as earlier than the end of the epoch.

        Only one process executes runs, so no other can take a thread over; but a run may be
        deleted.
        """
        site = self._connection(self._site_file)
        epochs = site.execute(EPOCHS, [json.dumps([thread_id.hex for thread_id in fences])])
        return {thread_id for key, epoch in epochs if fences[thread_id := UUID(key)] == epoch}

    async def _transaction(self, function: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            db = self._connection(self._file)
            with db:
                # Before the fence is read: a transaction that ends an epoch and removes rows of this file
                # waits for this lock, or has already ended the epoch.
                db.execute("BEGIN IMMEDIATE")
                return function(db)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def pruning(self) -> SqlitePruning:
        return SqlitePruning(self._file)

    async def snapshot_writes(self, thread_id: UUID, *, also: Places = ()) -> Snapshot:
        def read(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return db.execute(
                f"""SELECT checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value FROM writes
                WHERE thread_id = :thread AND (checkpoint_ns, checkpoint_id) IN ({HEADS})""",
                {"thread": str(thread_id), "also": json.dumps(list(also))},
            ).fetchall()

        await landing.settled([thread_id], self._file)
        rows = await self._transaction(read)
        return [[*row[:-1], base64.b64encode(row[-1]).decode()] for row in rows]

    async def places_of_run(self, thread_id: UUID, run_id: str) -> list[tuple[str, str]]:
        names = {"thread": str(thread_id), "run": run_id}
        await landing.settled([thread_id], self._file)
        return await self._transaction(lambda db: db.execute(OF_RUN, names).fetchall())

    async def remove_run(
        self, thread_id: UUID, run_id: UUID, *, epoch: int, writes: Snapshot | None, also: Places = ()
    ) -> None:
        names = {"thread": str(thread_id), "run": str(run_id), "also": json.dumps(list(also))}

        def remove(db: sqlite3.Connection) -> None:
            if not self._live({thread_id: epoch}):
                raise Fenced
            db.execute(
                f"DELETE FROM writes WHERE thread_id = :thread AND (checkpoint_ns, checkpoint_id) IN ({OF_RUN})",
                names,
            )
            db.execute(
                f"DELETE FROM checkpoints WHERE thread_id = :thread AND (checkpoint_ns, checkpoint_id) IN ({OF_RUN})",
                names,
            )
            if writes is None:
                return
            db.execute(
                f"DELETE FROM writes WHERE thread_id = :thread AND (checkpoint_ns, checkpoint_id) IN ({HEADS})",
                names,
            )
            db.executemany(
                REPLACE, [(str(thread_id), *row[:-1], base64.b64decode(row[-1])) for row in writes]
            )

        await landing.settled([thread_id], self._file)
        await self._transaction(remove)

    def _connection(self, file: Path) -> sqlite3.Connection:
        if file not in self._connections:
            db = sqlite3.connect(file, timeout=30, isolation_level=None)
            self._connections[file] = db
            if file == self._file:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
        return self._connections[file]

    async def close(self) -> None:
        def close() -> None:
            while self._connections:
                self._connections.popitem()[1].close()

        await asyncio.get_running_loop().run_in_executor(self._thread, close)
        self._thread.shutdown(wait=False)


@asynccontextmanager
async def open_sqlite(
    file: str | Path, *, serde: JsonPlusSerializer, retry_seconds: float
) -> AsyncIterator[SqliteCheckpoints]:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Conversations are private to this account on the machine; SQLite gives its other files the same mode.
    path.touch(mode=0o600)
    async with aiosqlite.connect(path, timeout=30) as db:
        reader = SqliteReader(db, file=path, serde=serde)
        await reader.setup()
        await in_database(landing.recover, path)
        storage = SqliteCheckpoints(reader, path, retry_seconds=retry_seconds)
        try:
            yield storage
        finally:
            await storage.close()
