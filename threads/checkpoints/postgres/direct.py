"""Writes on Django's connection, as part of the caller's transaction: edits and copies of threads."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection

from threads.checkpoints.postgres.statements import columns, statement
from threads.checkpoints.rows import Batch

# One statement, so that it sees one snapshot of the thread while a run writes.
COPY = """
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

EXISTS = "SELECT 1 FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = '' AND checkpoint_id = %s"


def land(batch: Batch) -> None:
    """Write a draft's rows; they become visible with the caller's commit."""
    query = statement(
        blobs=bool(batch.blobs),
        checkpoints=bool(batch.checkpoints),
        replaced=bool(batch.replaced),
        added=bool(batch.added),
    )
    parameters: dict[str, Any] = {
        "threads": list(batch.fences),
        "epochs": list(batch.fences.values()),
        **columns("b", batch.blobs),
        **columns("c", batch.checkpoints),
        **columns("w", batch.replaced),
        **columns("a", batch.added),
    }
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)


def copy(source: UUID, target: UUID) -> None:
    """Copy all checkpoints of a thread, within the database."""
    with connection.cursor() as cursor:
        cursor.execute(COPY, {"source": str(source), "target": str(target)})


def exists(thread_id: UUID, checkpoint_id: str) -> bool:
    """Whether the root graph's checkpoint is stored."""
    with connection.cursor() as cursor:
        cursor.execute(EXISTS, [str(thread_id), checkpoint_id])
        return cursor.fetchone() is not None
