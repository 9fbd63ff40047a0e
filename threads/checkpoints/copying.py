"""Copying all checkpoints of a thread to a new thread, within the database."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from django.db import connection

# One statement sees one moment of the thread, whatever a run of it writes meanwhile.
POSTGRES = """
WITH blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT %(target)s, checkpoint_ns, channel, version, type, blob FROM checkpoint_blobs WHERE thread_id = %(source)s
), writes AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob)
    SELECT %(target)s, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob
    FROM checkpoint_writes WHERE thread_id = %(source)s
)
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
SELECT %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
    CASE WHEN metadata ? 'thread_id' THEN metadata || jsonb_build_object('thread_id', %(target)s::text) ELSE metadata END
FROM checkpoints WHERE thread_id = %(source)s
"""
SQLITE = (
    """INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value)
    SELECT :target, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, value
    FROM writes WHERE thread_id = :source""",
    """INSERT INTO checkpoints
        (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    SELECT :target, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
        CAST(json_replace(CAST(metadata AS TEXT), '$.thread_id', :target) AS BLOB)
    FROM checkpoints WHERE thread_id = :source""",
)


def copy_checkpoints(source: UUID, target: UUID, *, file: str | Path) -> None:
    """Copy within the caller's transaction, which has the target thread to itself; nothing passes through this process.

    On SQLite the rows are in a file of their own, and there just before the caller's transaction commits.

    Args:
        file: The checkpoints' file, if the database is SQLite.
    """
    names = {"source": str(source), "target": str(target)}
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(POSTGRES, names)
        return
    from threads.checkpoints.sqlite.pruning import transaction

    with transaction(Path(file)) as db:
        for query in SQLITE:
            db.execute(query, names)
