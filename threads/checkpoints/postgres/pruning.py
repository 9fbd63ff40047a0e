"""Pruning checkpoints in PostgreSQL, in the Django transaction that locked the threads."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection

from threads.checkpoints.pruning import Head, Place, Pruning, cut, needed, superfluous

TABLES = ("checkpoint_writes", "checkpoint_blobs", "checkpoints")

DELETE_SOME = """
DELETE FROM {table}
WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE thread_id = ANY(%s::text[]) LIMIT %s))
"""
SOME = "SELECT count(*) FROM (SELECT 1 FROM checkpoints WHERE thread_id = ANY(%s::text[]) LIMIT %s) AS found"
PARENTS = "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id FROM checkpoints WHERE thread_id = %s"
# A delta channel without a value in a checkpoint has a counter there of the updates since its last value.
HEADS = """
SELECT h.checkpoint_ns, h.checkpoint_id, c.metadata -> 'parents' ->> '',
    (c.metadata -> 'counters_since_delta_snapshot')::text
FROM (
    SELECT checkpoint_ns, max(checkpoint_id) AS checkpoint_id FROM checkpoints
    WHERE thread_id = %s GROUP BY checkpoint_ns
) h JOIN checkpoints c USING (checkpoint_ns, checkpoint_id) WHERE c.thread_id = %s
"""
# A value is in the blob of the channel's version, or, if it is simple, in the checkpoint itself.
CHANNELS = """
SELECT ch.name, c.checkpoint -> 'channel_versions' ->> ch.name,
    jsonb_typeof(c.checkpoint -> 'channel_values' -> ch.name) <> 'null' OR EXISTS (
        SELECT 1 FROM checkpoint_blobs b
        WHERE b.thread_id = c.thread_id AND b.checkpoint_ns = c.checkpoint_ns AND b.channel = ch.name
            AND b.version = c.checkpoint -> 'channel_versions' ->> ch.name AND b.type <> 'empty'
    )
FROM checkpoints c CROSS JOIN unnest(%s::text[]) AS ch(name)
WHERE c.thread_id = %s AND c.checkpoint_ns = %s AND c.checkpoint_id = %s
"""
CUT = """
UPDATE checkpoints SET parent_checkpoint_id = NULL
WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s
"""
# Arrays are joined as rows: `= ANY` would compare each row of a large thread with each element.
OF_PLACES = """
DELETE FROM {table} t USING unnest(%s::text[], %s::text[]) AS gone(ns, id)
WHERE t.thread_id = %s AND t.checkpoint_ns = gone.ns AND t.checkpoint_id = gone.id
"""
OF_BLOBS = """
DELETE FROM checkpoint_blobs t USING unnest(%s::text[], %s::text[], %s::text[]) AS gone(ns, channel, version)
WHERE t.thread_id = %s AND t.checkpoint_ns = gone.ns AND t.channel = gone.channel AND t.version = gone.version
"""
VERSIONS = """
SELECT c.checkpoint_ns, v.key, v.value
FROM checkpoints c CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') v WHERE c.thread_id = %s
"""


class PostgresPruning(Pruning):
    def delete(self, thread_ids: Collection[UUID], *, limit: int) -> int:
        names = [str(thread_id) for thread_id in thread_ids]
        deleted = 0
        for table in TABLES:
            if deleted < limit:
                deleted += _execute(DELETE_SOME.format(table=table), [names, limit - deleted])
        return deleted

    def count(self, thread_ids: Collection[UUID], *, limit: int) -> int:
        [(found,)] = _rows(SOME, [[str(thread_id) for thread_id in thread_ids], limit])
        return int(found)

    def keep_latest(self, thread_id: UUID, *, limit: int) -> int:
        thread = str(thread_id)
        parents = {(ns, name): parent for ns, name, parent in _rows(PARENTS, [thread])}
        heads = [_head(thread, *row) for row in _rows(HEADS, [thread, thread])]
        kept = needed(heads, parents, partial(_stored, thread))
        for place in cut(kept, parents):
            _execute(CUT, [thread, *place])
        if old := superfluous(parents, kept)[:limit]:
            _delete_places("checkpoint_writes", thread, old)
            return _delete_places("checkpoints", thread, old)
        return _delete_strays(thread, kept, limit)


def _head(thread: str, ns: str, checkpoint_id: str, root: str | None, counters: str | None) -> Head:
    deltas: frozenset[str] = frozenset()
    if counters is not None:
        channels = _channels(thread, (ns, checkpoint_id), json.loads(counters))
        deltas = frozenset(name for name, version, stored in channels if version is not None and not stored)
    return Head(ns, checkpoint_id, root, deltas)


def _stored(thread: str, place: Place, channels: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name, _, stored in _channels(thread, place, channels) if stored)


def _channels(
    thread: str, place: Place, channels: Collection[str]
) -> list[tuple[str, str | None, bool | None]]:
    """Channels of a checkpoint: their versions, and whether they have values in it."""
    return _rows(CHANNELS, [list(channels), thread, *place])


def _delete_strays(thread: str, kept: set[Place], limit: int) -> int:
    """Delete values and writes without a checkpoint; by now only the kept checkpoints are left."""
    used = set(_rows(VERSIONS, [thread]))
    blobs = _rows(
        "SELECT checkpoint_ns, channel, version FROM checkpoint_blobs WHERE thread_id = %s", [thread]
    )
    if unused := sorted(set(blobs) - used)[:limit]:
        return _execute(OF_BLOBS, [*map(list, zip(*unused, strict=True)), thread])
    writes = _rows(
        "SELECT DISTINCT checkpoint_ns, checkpoint_id FROM checkpoint_writes WHERE thread_id = %s", [thread]
    )
    stray = sorted(set(writes) - kept)[:limit]
    return _delete_places("checkpoint_writes", thread, stray) if stray else 0


def _delete_places(table: str, thread: str, places: Sequence[Place]) -> int:
    return _execute(OF_PLACES.format(table=table), [*map(list, zip(*places, strict=True)), thread])


def _execute(query: str, parameters: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return int(cursor.rowcount)


def _rows(query: str, parameters: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
