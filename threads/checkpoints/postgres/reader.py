"""The stock PostgreSQL saver, except that a list fetches and decodes shared blobs only once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from operator import itemgetter
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from threads.checkpoints.listing import Listing, Write, decoded
from threads.db.time_limits import limited

#: The task id of writes that belong to no task; they change the channels' values when a state is read.
NO_TASK = "00000000-0000-0000-0000-000000000000"

#: The kinds of rows of `LIST`.
CHECKPOINT, BLOB, WRITE = range(3)
# The stock saver's statement looks up the blobs and writes of each checkpoint separately.
# A single statement sees a consistent snapshot: no checkpoint without its blobs.
LIST = f"""
WITH found AS MATERIALIZED (
    SELECT checkpoint_id, parent_checkpoint_id, checkpoint, metadata FROM checkpoints
    WHERE thread_id = %(thread)s AND checkpoint_ns = %(ns)s{{conditions}}
    ORDER BY checkpoint_id DESC LIMIT %(limit)s
), versions AS (
    SELECT DISTINCT each.key AS channel, each.value AS version
    FROM found, jsonb_each_text(checkpoint -> 'channel_versions') each
)
SELECT {CHECKPOINT} AS part, checkpoint_id, parent_checkpoint_id, checkpoint, metadata,
    NULL AS channel, NULL AS type, NULL::bytea AS blob, NULL AS path, NULL::int AS idx FROM found
UNION ALL
SELECT {BLOB}, NULL, version, NULL, NULL, channel, type, blob, NULL, NULL
FROM checkpoint_blobs JOIN versions USING (channel, version)
WHERE thread_id = %(thread)s AND checkpoint_ns = %(ns)s AND type <> 'empty'
UNION ALL
SELECT {WRITE}, checkpoint_id, task_id, NULL, NULL, channel, type, blob, task_path, idx FROM checkpoint_writes
WHERE thread_id = %(thread)s AND checkpoint_ns = %(ns)s AND checkpoint_id = ANY(ARRAY(SELECT checkpoint_id FROM found))
"""


def statement(wanted: Listing) -> str:
    conditions = " AND checkpoint_id < %(before)s" if wanted.before is not None else ""
    return LIST.format(conditions=conditions + (" AND metadata @> %(metadata)s" if wanted.metadata else ""))


class PostgresReader(AsyncPostgresSaver):
    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Like the stock saver's.

        Checkpoints with the same version of a channel share its value.
        """
        wanted = Listing.of(config, filter, before, limit)
        rows = await self._rows(wanted) if wanted is not None else []
        if wanted is None or any(row[0] == CHECKPOINT and row[3]["v"] < 4 for row in rows):
            # Older versions stored sends with the parent's writes.
            async for found in super().alist(config, filter=filter, before=before, limit=limit):
                yield found
            return
        blobs: dict[tuple[str, str], tuple[str, bytes]] = {}
        writes: defaultdict[str, list[Write]] = defaultdict(list)
        for part, name, second, _, _, channel, kind, blob, path, index in rows:
            if part == BLOB:
                blobs[channel, second] = kind, blob
            elif part == WRITE:
                writes[name].append((second, channel, kind, blob, path, index))
        values: dict[tuple[str, str], Any] = {}
        checkpoints = sorted((row for row in rows if row[0] == CHECKPOINT), key=itemgetter(1), reverse=True)
        for _, name, parent, checkpoint, metadata, *_ in checkpoints:
            # Writes that change the values must not change those of other checkpoints.
            own = any(write[0] == NO_TASK for write in writes[name])
            loaded = self._values(checkpoint, blobs, {} if own else values)
            yield wanted.tuple(
                name,
                parent,
                {**checkpoint, "channel_values": loaded},
                metadata,
                decoded(writes[name], self.serde),
            )

    def _values(self, checkpoint: Any, blobs: Any, known: dict[tuple[str, str], Any]) -> dict[str, Any]:
        """A checkpoint's values: inline ones, and those of channels' versions, each decoded once."""
        found = dict(checkpoint.get("channel_values") or {})
        for channel, version in checkpoint["channel_versions"].items():
            key = channel, str(version)
            if key in blobs:
                if key not in known:
                    known[key] = self.serde.loads_typed(blobs[key])
                found[channel] = known[key]
        return found

    async def _rows(self, wanted: Listing) -> list[tuple[Any, ...]]:
        parameters = {
            "thread": wanted.thread_id,
            "ns": wanted.ns,
            "before": wanted.before,
            "metadata": Jsonb(dict(wanted.metadata)),
            "limit": wanted.limit,
        }
        pool: Any = self.conn
        async with limited(), pool.connection() as db, db.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(statement(wanted), parameters, binary=True)
            found: list[tuple[Any, ...]] = await cursor.fetchall()
        return found
