"""Questions to the checkpoints' file from synchronous code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

from threads.checkpoints.sqlite import landing

EXISTS = "SELECT 1 FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' AND checkpoint_id = ?"


def exists(thread_id: UUID, checkpoint_id: str, file: Path) -> bool:
    """Whether the root graph's checkpoint is stored; no lock is needed to read it."""
    if not file.exists():
        return False
    landing.settle([thread_id], file)
    with closing(sqlite3.connect(file, timeout=30)) as db:
        return db.execute(EXISTS, [str(thread_id), checkpoint_id]).fetchone() is not None
