"""Copies a thread's checkpoints within the checkpoints' file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

from threads.checkpoints.copies import Part, SourceChanged
from threads.checkpoints.sqlite import landing
from threads.checkpoints.sqlite.statements import transaction
from threads.db.time_limits import interruptible

LIST = """
SELECT checkpoint_ns, checkpoint_id, 1 + coalesce(count, 0),
    length(checkpoint) + coalesce(length(metadata), 0) + coalesce(size, 0)
FROM checkpoints LEFT JOIN (
    SELECT checkpoint_ns, checkpoint_id, count(*) AS count, sum(length(value)) AS size
    FROM writes WHERE thread_id = :source GROUP BY checkpoint_ns, checkpoint_id
) USING (checkpoint_ns, checkpoint_id)
WHERE thread_id = :source ORDER BY checkpoint_id DESC, checkpoint_ns
"""
OF_PLACE = "WHERE thread_id = :source AND checkpoint_ns = :ns AND checkpoint_id = :id"
COPY_WRITES = f"""
INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
SELECT :target, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value FROM writes {OF_PLACE}
"""
COPY_CHECKPOINT = f"""
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
SELECT :target, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
    CAST(json_replace(CAST(metadata AS TEXT), '$.thread_id', :target) AS BLOB)
FROM checkpoints {OF_PLACE}
"""


def parts(source: UUID, file: Path) -> list[Part]:
    """All that a copy of the thread consists of, the newest checkpoints first."""
    if not file.exists():
        return []
    landing.settle([source], file)
    with closing(sqlite3.connect(file, timeout=30)) as db, interruptible(db):
        rows = db.execute(LIST, {"source": str(source)}).fetchall()
    return [Part("checkpoints", tuple(key), count, size) for *key, count, size in rows]


def copy(source: UUID, target: UUID, page: Sequence[Part], file: Path) -> None:
    """Copy some checkpoints, under the main database's write lock. Raises SourceChanged."""
    with transaction(file) as db:
        for ns, checkpoint_id in (part.key for part in page):
            place = {"source": str(source), "target": str(target), "ns": ns, "id": checkpoint_id}
            db.execute(COPY_WRITES, place)
            if not db.execute(COPY_CHECKPOINT, place).rowcount:
                raise SourceChanged
