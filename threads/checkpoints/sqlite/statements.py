"""The writes into the checkpoints' file, and a transaction of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

CHECKPOINT = """INSERT OR REPLACE INTO checkpoints
    (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
WRITE = """INSERT OR {verb} INTO writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
REPLACE, ADD = WRITE.format(verb="REPLACE"), WRITE.format(verb="IGNORE")


@contextmanager
def transaction(file: Path) -> Iterator[sqlite3.Connection]:
    """A write transaction on the checkpoints' file.

    The caller holds the main database's write lock.
    """
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
