"""Pruning checkpoints in the SQLite file, under the main database's write lock."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import ormsgpack

from threads.checkpoints.pruning import Head, Place, Pruning, cut, needed, superfluous
from threads.checkpoints.sqlite import landing
from threads.checkpoints.sqlite.statements import transaction

DELETE_SOME = """
DELETE FROM {table} WHERE rowid IN (
    SELECT rowid FROM {table} WHERE thread_id IN (SELECT value FROM json_each(?)) LIMIT ?)
"""
SOME = """
SELECT count(*) FROM (
    SELECT 1 FROM checkpoints WHERE thread_id IN (SELECT value FROM json_each(?)) LIMIT ?)
"""
PARENTS = "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id FROM checkpoints WHERE thread_id = ?"
HEADS = """
SELECT checkpoint_ns, max(checkpoint_id), CAST(metadata AS TEXT)
FROM checkpoints WHERE thread_id = ? GROUP BY checkpoint_ns
"""
ONE = """
SELECT type, checkpoint FROM checkpoints
WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?
"""
CUT = """
UPDATE checkpoints SET parent_checkpoint_id = NULL
WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?
"""
OF_PLACE = "DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"


class SqlitePruning(Pruning):
    def __init__(self, file: Path) -> None:
        self._file = file

    @contextmanager
    def _transaction(self, thread_ids: Collection[UUID]) -> Iterator[sqlite3.Connection | None]:
        """A write transaction on the file, which has all of these threads; None if it does not exist."""
        if not self._file.exists():
            yield None
            return
        landing.settle(thread_ids, self._file)
        with transaction(self._file) as db:
            yield db

    def delete(self, thread_ids: Collection[UUID], *, limit: int) -> int:
        names = json.dumps([str(thread_id) for thread_id in thread_ids])
        deleted = 0
        with self._transaction(thread_ids) as db:
            for table in ("writes", "checkpoints"):
                if db is not None and deleted < limit:
                    deleted += db.execute(DELETE_SOME.format(table=table), [names, limit - deleted]).rowcount
        return deleted

    def count(self, thread_ids: Collection[UUID], *, limit: int) -> int:
        names = json.dumps([str(thread_id) for thread_id in thread_ids])
        with self._transaction(thread_ids) as db:
            return 0 if db is None else int(db.execute(SOME, [names, limit]).fetchone()[0])

    def keep_latest(self, thread_id: UUID, *, limit: int) -> int:
        with self._transaction([thread_id]) as db:
            return _keep_latest(db, str(thread_id), limit) if db is not None else 0


def _keep_latest(db: sqlite3.Connection, thread: str, limit: int) -> int:
    parents = {(ns, name): parent for ns, name, parent in db.execute(PARENTS, [thread])}
    heads = [_head(db, thread, *row) for row in db.execute(HEADS, [thread]).fetchall()]
    kept = needed(heads, parents, partial(_stored, db, thread))
    db.executemany(CUT, [(thread, *place) for place in cut(kept, parents)])
    if old := superfluous(parents, kept)[:limit]:
        _delete_places(db, "writes", thread, old)
        _delete_places(db, "checkpoints", thread, old)
        return len(old)
    writes = db.execute(
        "SELECT DISTINCT checkpoint_ns, checkpoint_id FROM writes WHERE thread_id = ?", [thread]
    )
    stray = sorted(set(writes) - kept)[:limit]
    _delete_places(db, "writes", thread, stray)
    return len(stray)


def _head(db: sqlite3.Connection, thread: str, ns: str, checkpoint_id: str, metadata: str | None) -> Head:
    described: dict[str, Any] = json.loads(metadata or "{}")
    root = (described.get("parents") or {}).get("")
    # A delta channel without a value in a checkpoint has a counter there of the updates since its last value.
    deltas = frozenset(described.get("counters_since_delta_snapshot") or ())
    if deltas:
        checkpoint = _decoded(*db.execute(ONE, [thread, ns, checkpoint_id]).fetchone())
        deltas = deltas.intersection(checkpoint.get("channel_versions") or deltas)
        deltas -= frozenset(checkpoint.get("channel_values") or ())
    return Head(ns, checkpoint_id, root, deltas)


def _stored(db: sqlite3.Connection, thread: str, place: Place, channels: frozenset[str]) -> frozenset[str]:
    checkpoint = _decoded(*db.execute(ONE, [thread, *place]).fetchone())
    return channels.intersection(checkpoint.get("channel_values") or ())


def _decoded(kind: str, blob: bytes) -> dict[str, Any]:
    """Decode a checkpoint for its keys; no classes of its values are imported or called.

    A checkpoint in an unusual encoding counts as one without values; then more is kept than needed.
    """
    if kind != "msgpack":
        return {}
    decoded: Any = ormsgpack.unpackb(
        blob, ext_hook=lambda code, data: None, option=ormsgpack.OPT_NON_STR_KEYS
    )
    return decoded if isinstance(decoded, dict) else {}


def _delete_places(db: sqlite3.Connection, table: str, thread: str, places: Sequence[Place]) -> None:
    db.executemany(OF_PLACE.format(table=table), [(thread, *place) for place in places])
