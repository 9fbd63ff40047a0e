"""Writes on Django's connection, as part of the caller's transaction: edits of threads."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import connection

from threads.checkpoints.postgres.statements import columns, statement
from threads.checkpoints.rows import Batch

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


def exists(thread_id: UUID, checkpoint_id: str) -> bool:
    """Whether the root graph's checkpoint is stored."""
    with connection.cursor() as cursor:
        cursor.execute(EXISTS, [str(thread_id), checkpoint_id])
        return cursor.fetchone() is not None
