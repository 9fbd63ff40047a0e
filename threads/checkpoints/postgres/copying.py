"""Copies a thread's checkpoints within the database, on Django's connection."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from threads.checkpoints.copies import Part, SourceChanged

LIST = {
    "checkpoints": """
        SELECT checkpoint_ns, checkpoint_id, 1 + coalesce(count, 0),
            octet_length(checkpoint::text) + octet_length(metadata::text) + coalesce(size, 0)
        FROM checkpoints LEFT JOIN (
            SELECT checkpoint_ns, checkpoint_id, count(*) AS count, sum(octet_length(blob)) AS size
            FROM checkpoint_writes WHERE thread_id = %(source)s GROUP BY checkpoint_ns, checkpoint_id
        ) AS writes USING (checkpoint_ns, checkpoint_id)
        WHERE thread_id = %(source)s ORDER BY checkpoint_id DESC, checkpoint_ns""",
    # Listed last, so that the values of all listed checkpoints are there.
    "checkpoint_blobs": """
        SELECT checkpoint_ns, channel, version, 1, coalesce(octet_length(blob), 0)
        FROM checkpoint_blobs WHERE thread_id = %(source)s""",
}
COPY = {
    "checkpoint_blobs": """
        INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
        SELECT %(target)s, checkpoint_ns, channel, version, type, blob FROM checkpoint_blobs
        JOIN unnest(%(key0)s::text[], %(key1)s::text[], %(key2)s::text[]) AS page(key0, key1, key2)
            ON checkpoint_ns = key0 AND channel = key1 AND version = key2
        WHERE thread_id = %(source)s""",
    # One statement, so that it sees one snapshot of each checkpoint while a run writes.
    "checkpoints": """
        WITH page AS (
            SELECT * FROM unnest(%(key0)s::text[], %(key1)s::text[]) AS page(key0, key1)
        ), writes AS (
            INSERT INTO checkpoint_writes
                (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob)
            SELECT %(target)s, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob
            FROM checkpoint_writes JOIN page ON checkpoint_ns = key0 AND checkpoint_id = key1
            WHERE thread_id = %(source)s
        )
        INSERT INTO checkpoints
            (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
        SELECT %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
            CASE WHEN metadata ? 'thread_id'
                THEN metadata || jsonb_build_object('thread_id', %(target)s::text) ELSE metadata END
        FROM checkpoints JOIN page ON checkpoint_ns = key0 AND checkpoint_id = key1
        WHERE thread_id = %(source)s""",
}


def parts(source: UUID) -> list[Part]:
    """All that a copy of the thread consists of, the newest checkpoints first."""
    found = []
    with connection.cursor() as cursor:
        for table, query in LIST.items():
            cursor.execute(query, {"source": str(source)})
            found += [Part(table, tuple(key), rows, int(size)) for *key, rows, size in cursor.fetchall()]
    return found


def copy(source: UUID, target: UUID, page: Sequence[Part]) -> None:
    """Copy some parts of one table in the caller's transaction. Raises SourceChanged."""
    keys = zip(*(part.key for part in page), strict=True)
    columns = {f"key{number}": list(column) for number, column in enumerate(keys)}
    with connection.cursor() as cursor:
        cursor.execute(COPY[page[0].table], {"source": str(source), "target": str(target), **columns})
        if cursor.rowcount != len(page):
            raise SourceChanged
