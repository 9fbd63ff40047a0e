"""The stock SQLite saver, with lists in one statement and filters with PostgreSQL's semantics."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import aiosqlite
import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, DeltaChannelHistory
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from threads.checkpoints.listing import Listing, Write, decoded
from threads.checkpoints.sqlite import landing
from threads.db.time_limits import limited
from threads.db.values.json import SQLITE_FUNCTION, contains_text

# A single statement sees a consistent snapshot: no checkpoint without its writes.
LIST = f"""
WITH found AS MATERIALIZED (
    SELECT checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints
    WHERE thread_id = :thread AND checkpoint_ns = :ns AND (:before IS NULL OR checkpoint_id < :before)
        AND (:metadata IS NULL OR {SQLITE_FUNCTION}(CAST(metadata AS TEXT), :metadata))
    ORDER BY checkpoint_id DESC LIMIT :limit
)
SELECT checkpoint_id, type, checkpoint, parent_checkpoint_id, metadata, NULL, NULL, NULL, NULL FROM found
UNION ALL
SELECT checkpoint_id, type, value, NULL, NULL, task_id, channel, task_path, idx FROM writes
WHERE thread_id = :thread AND checkpoint_ns = :ns AND checkpoint_id IN (SELECT checkpoint_id FROM found)
"""


class SqliteReader(AsyncSqliteSaver):
    def __init__(self, db: aiosqlite.Connection, *, file: Path, serde: SerializerProtocol) -> None:
        super().__init__(db, serde=serde)
        self._file = file

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        await self._settled(config)
        return await super().aget_tuple(config)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        await self._settled(config)
        return await super().aget_delta_channel_history(config=config, channels=channels)

    async def _settled(self, config: RunnableConfig) -> None:
        """Wait until the file has every edit of the thread."""
        try:
            thread_id = UUID(str(config["configurable"]["thread_id"]))
        except ValueError:
            # No thread of this site, which only it edits.
            return
        await landing.settled([thread_id], self._file)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        if config is not None:
            await self._settled(config)
        wanted = Listing.of(config, filter, before, limit)
        if wanted is None:
            async for found in super().alist(config, filter=filter, before=before, limit=limit):
                yield found
            return
        checkpoints: list[tuple[Any, ...]] = []
        writes: defaultdict[str, list[Write]] = defaultdict(list)
        for name, kind, value, parent, metadata, task, *write in await self._rows(wanted):
            if task is None:
                checkpoints.append((name, parent, kind, value, metadata))
            else:
                channel, path, index = write
                writes[name].append((task, channel, kind, value, path, index))
        for name, parent, kind, value, metadata in sorted(checkpoints, reverse=True, key=lambda row: row[0]):
            yield wanted.tuple(
                name,
                parent,
                self.serde.loads_typed((kind, value)),
                json.loads(metadata) if metadata is not None else {},
                decoded(writes[name], self.serde),
            )

    async def _rows(self, wanted: Listing) -> Any:
        await self.setup()
        parameters = {
            "thread": wanted.thread_id,
            "ns": wanted.ns,
            "before": wanted.before,
            "metadata": orjson.dumps(wanted.metadata).decode() if wanted.metadata else None,
            "limit": -1 if wanted.limit is None else wanted.limit,
        }
        async with self.lock:
            await self.conn.create_function(SQLITE_FUNCTION, 2, contains_text, deterministic=True)
            async with limited(self.conn.interrupt):
                return await self.conn.execute_fetchall(LIST, parameters)
