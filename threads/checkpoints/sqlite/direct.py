"""Edits of threads in the checkpoints' file, under the main database's write lock.

The rows are committed just before the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

from threads.checkpoints.rows import Batch
from threads.checkpoints.sqlite.pruning import transaction
from threads.checkpoints.sqlite.storage import ADD, CHECKPOINT, REPLACE

EXISTS = "SELECT 1 FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"


def land(batch: Batch, file: Path) -> None:
    """Write a draft's rows."""
    with transaction(file) as db:
        for query, rows in ((CHECKPOINT, batch.checkpoints), (REPLACE, batch.replaced), (ADD, batch.added)):
            db.executemany(query, [(str(key[0]), *key[1:], *values) for key, values in rows.items()])


def exists(thread_id: UUID, checkpoint_id: str, file: Path) -> bool:
    """Whether the root graph's checkpoint is stored; no lock is needed to read it."""
    if not file.exists():
        return False
    with closing(sqlite3.connect(file, timeout=30)) as db:
        return db.execute(EXISTS, [str(thread_id), checkpoint_id]).fetchone() is not None
