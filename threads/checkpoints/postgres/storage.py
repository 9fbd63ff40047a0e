"""Checkpoints in PostgreSQL: one statement per batch, each thread's rows fenced by its own epoch."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from threads.checkpoints.commits import GroupCommit
from threads.checkpoints.postgres.errors import LOCK_TIMEOUT, passing_fault
from threads.checkpoints.postgres.pruning import PostgresPruning
from threads.checkpoints.postgres.reader import PostgresReader
from threads.checkpoints.postgres.statements import REMOVE_RUN, THREADS, columns, statement
from threads.checkpoints.rows import Batch, Fenced, Rows, described
from threads.checkpoints.storage import CheckpointStorage, Places, Snapshot
from threads.db.values.text import is_text

HEADS = """
(SELECT DISTINCT ON (checkpoint_ns) checkpoint_ns, checkpoint_id FROM checkpoints
WHERE thread_id = %(thread)s ORDER BY checkpoint_ns, checkpoint_id DESC)
UNION SELECT * FROM unnest(%(namespaces)s::text[], %(ids)s::text[])
"""
SNAPSHOT = f"""
SELECT w.checkpoint_ns, w.checkpoint_id, w.task_id, w.idx, w.task_path, w.channel, w.type, w.blob
FROM checkpoint_writes w JOIN ({HEADS}) h USING (checkpoint_ns, checkpoint_id) WHERE w.thread_id = %(thread)s
"""


def is_inline(value: Any) -> bool:
    """Whether a channel's value is stored in the checkpoint's jsonb, as by the stock saver.

    Values that jsonb rejects (NUL, lone surrogates, NaN) are stored in a blob.
    """
    # Subclasses, such as members of an enumeration, would lose their class.
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    return value is None or kind is bool or kind is int or (kind is str and is_text(value))


class PostgresCheckpoints(CheckpointStorage):
    """The stock saver's tables in Django's database; a write and its fence share a transaction."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], *, serde: JsonPlusSerializer, retry_seconds: float
    ) -> None:
        self.serde = serde
        self.commits = GroupCommit(self._commit, retry_seconds=retry_seconds)
        self._pool = pool

    def reader(self) -> BaseCheckpointSaver[str]:
        # A saver holds a lock during each operation; with one saver per reader they can use the whole pool.
        return PostgresReader(self._pool, serde=self.serde)

    def encode_checkpoint(
        self,
        rows: Rows,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> int:
        configurable = config["configurable"]
        ns = configurable.get("checkpoint_ns", "")
        inline: dict[str, Any] = {}
        large: dict[str, Any] = {}
        for channel, value in checkpoint["channel_values"].items():
            (inline if is_inline(value) else large)[channel] = value
        size = 0
        for channel, version in new_versions.items():
            if channel in large:
                kind, blob = self.serde.dumps_typed(large[channel])
                rows.blobs[ns, channel, str(version)] = (kind, blob)
                size += len(blob)
        # As in the stock saver, `true` in the checkpoint marks a delta channel's snapshot, whose value is in
        # a blob.
        inline.update({channel: True for channel, value in large.items() if is_delta_snapshot(value)})
        encoded = to_json({**checkpoint, "channel_values": inline})
        rows.checkpoints[ns, checkpoint["id"]] = (
            configurable.get("checkpoint_id"),
            encoded,
            to_json(described(config, metadata)),
        )
        return size + len(encoded)

    async def _commit(self, batch: Batch) -> set[UUID]:
        parameters: dict[str, list[Any]] = {
            "threads": list(batch.fences),
            "epochs": list(batch.fences.values()),
            **columns("b", batch.blobs),
            **columns("c", batch.checkpoints),
            **columns("w", batch.replaced),
            **columns("a", batch.added),
        }
        query = statement(
            blobs=bool(batch.blobs),
            checkpoints=bool(batch.checkpoints),
            replaced=bool(batch.replaced),
            added=bool(batch.added),
        )
        try:
            async with self._pool.connection() as db:
                try:
                    cursor = await db.execute(query, parameters)
                except psycopg.errors.ReadOnlySqlTransaction:
                    # A read-only standby after a failover; a new connection may reach the primary.
                    await db.close()
                    raise
                return {row["id"] for row in await cursor.fetchall()}
        except psycopg.Error as error:
            if (fault := passing_fault(error)) is None:
                raise
            raise fault(str(error)) from error

    def pruning(self) -> PostgresPruning:
        return PostgresPruning()

    async def snapshot_writes(self, thread_id: UUID, *, also: Places = ()) -> Snapshot:
        async with self._pool.connection() as db:
            cursor = await db.execute(SNAPSHOT, {"thread": str(thread_id), **columns_of(also)})
            rows = [list(row.values()) for row in await cursor.fetchall()]
        return [[*row[:-1], base64.b64encode(row[-1]).decode()] for row in rows]

    async def places_of_run(self, thread_id: UUID, run_id: str) -> list[tuple[str, str]]:
        query = """SELECT checkpoint_ns, checkpoint_id FROM checkpoints
            WHERE thread_id = %(thread)s AND metadata ->> 'run_id' = %(run)s"""
        async with self._pool.connection() as db:
            cursor = await db.execute(query, {"thread": str(thread_id), "run": run_id})
            return [(row["checkpoint_ns"], row["checkpoint_id"]) for row in await cursor.fetchall()]

    async def remove_run(
        self, thread_id: UUID, run_id: UUID, *, epoch: int, writes: Snapshot | None, also: Places = ()
    ) -> None:
        thread = str(thread_id)
        async with self._pool.connection() as db, db.transaction():
            fence = await db.execute(
                f"SELECT 1 FROM {THREADS} WHERE id = %s AND epoch = %s FOR KEY SHARE", [thread_id, epoch]
            )
            if await fence.fetchone() is None:
                raise Fenced
            await db.execute(REMOVE_RUN, {"thread": thread, "run": str(run_id)})
            if writes is None:
                return
            await db.execute(
                f"""DELETE FROM checkpoint_writes w USING ({HEADS}) h
                WHERE w.thread_id = %(thread)s AND (w.checkpoint_ns, w.checkpoint_id)
                    = (h.checkpoint_ns, h.checkpoint_id)""",
                {"thread": thread, **columns_of(also)},
            )
            for row in writes:
                await db.execute(
                    """INSERT INTO checkpoint_writes
                    (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob)
                    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                    [thread, *row[:-1], base64.b64decode(row[-1])],
                )


def columns_of(places: Places) -> dict[str, list[str]]:
    """Addresses of checkpoints as the two array parameters of a statement."""
    return {
        "namespaces": [namespace for namespace, _ in places],
        "ids": [checkpoint_id for _, checkpoint_id in places],
    }


def to_json(value: Any) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
    except TypeError:
        # An integer beyond 64 bits, which jsonb accepts.
        return json.dumps(value, default=str)


def is_delta_snapshot(value: Any) -> bool:
    return type(value).__name__ == "_DeltaSnapshot"


def connection_string(database: Any = connection) -> str:
    """The psycopg connection string of one of Django's connections."""
    parameters = {
        key: value
        for key, value in database.get_connection_params().items()
        if key
        not in {"cursor_factory", "context", "prepare_threshold", "row_factory", "pool", "client_encoding"}
        and value is not None
        and isinstance(value, str | int)
    }
    return psycopg.conninfo.make_conninfo("", **parameters)


async def _configure(db: psycopg.AsyncConnection[Any]) -> None:
    await db.execute(f"SET lock_timeout = {LOCK_TIMEOUT}")


@asynccontextmanager
async def open_postgres(
    *, serde: JsonPlusSerializer, retry_seconds: float, connections: int
) -> AsyncIterator[PostgresCheckpoints]:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        connection_string(),
        min_size=2,
        max_size=connections,
        open=False,
        # After a failure the pool doubles its wait before each attempt to connect. When it gives up, the next
        # caller makes it try at once. So a recovered database is used within two seconds.
        timeout=3,
        reconnect_timeout=2,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        configure=_configure,
    )
    await pool.open(wait=True, timeout=10)
    try:
        async with pool.connection() as db:
            row = await (await db.execute("SHOW server_encoding")).fetchone()
        if row and row["server_encoding"] != "UTF8":
            raise ImproperlyConfigured(
                f"The database's encoding is {row['server_encoding']}. Create one with ENCODING 'UTF8'."
            )
        yield PostgresCheckpoints(pool, serde=serde, retry_seconds=retry_seconds)
    finally:
        await pool.close(timeout=2)
