"""The statement with which PostgreSQL writes a batch of checkpoints: each thread's rows fenced by its own epoch."""

from __future__ import annotations

import functools
from typing import Any

from threads.models import Thread

THREADS = Thread._meta.db_table

# A key-share lock and a takeover's FOR UPDATE wait for each other. After the wait this statement sees the new
# epoch, because PostgreSQL re-checks the join against the row's newest version. `%b`: arrays are sent in
# binary. For text, psycopg escapes each element by regular expressions; for the JSON and blobs of a run, that
# costs more than the rest of a write.
FENCE = f"""
WITH live AS MATERIALIZED (
    SELECT t.id, t.id::text AS thread_id
    FROM {THREADS} t JOIN unnest(%(threads)b::uuid[], %(epochs)b::bigint[]) AS f(id, epoch)
        ON t.id = f.id AND t.epoch = f.epoch
    ORDER BY t.id FOR KEY SHARE OF t
)"""
BLOBS = """, blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT l.thread_id, r.ns, r.channel, r.version, r.type, r.blob
    FROM unnest(%(b0)b::uuid[], %(b1)b::text[], %(b2)b::text[], %(b3)b::text[], %(b4)b::text[], %(b5)b::bytea[])
        AS r(id, ns, channel, version, type, blob) JOIN live l USING (id)
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
)"""
CHECKPOINTS = """, saved AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    SELECT l.thread_id, r.ns, r.checkpoint_id, r.parent, r.checkpoint::jsonb, r.metadata::jsonb
    FROM unnest(%(c0)b::uuid[], %(c1)b::text[], %(c2)b::text[], %(c3)b::text[], %(c4)b::text[], %(c5)b::text[])
        AS r(id, ns, checkpoint_id, parent, checkpoint, metadata) JOIN live l USING (id)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
        DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
)"""
WRITES = """, {name} AS (
    INSERT INTO checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, task_path, channel, type, blob)
    SELECT l.thread_id, r.ns, r.checkpoint_id, r.task_id, r.idx, r.task_path, r.channel, r.type, r.blob
    FROM unnest(%({p}0)b::uuid[], %({p}1)b::text[], %({p}2)b::text[], %({p}3)b::text[], %({p}4)b::int[],
        %({p}5)b::text[], %({p}6)b::text[], %({p}7)b::text[], %({p}8)b::bytea[])
        AS r(id, ns, checkpoint_id, task_id, idx, task_path, channel, type, blob) JOIN live l USING (id)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) {conflict}
)"""
REPLACE = WRITES.format(
    name="replaced",
    p="w",
    conflict="DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob",
)
ADD = WRITES.format(name="added", p="a", conflict="DO NOTHING")
# Every part sees the rows as they were before the statement. Values are shared by checkpoints, also by those of
# other branches.
REMOVE_RUN = """
WITH gone AS (
    DELETE FROM checkpoints WHERE thread_id = %(thread)s AND metadata ->> 'run_id' = %(run)s
    RETURNING checkpoint_ns, checkpoint_id, checkpoint
), writes AS (
    DELETE FROM checkpoint_writes w USING gone g
    WHERE w.thread_id = %(thread)s AND (w.checkpoint_ns, w.checkpoint_id) = (g.checkpoint_ns, g.checkpoint_id)
), unused AS (
    SELECT g.checkpoint_ns, v.key, v.value
    FROM gone g CROSS JOIN LATERAL jsonb_each_text(g.checkpoint -> 'channel_versions') v
    EXCEPT
    SELECT c.checkpoint_ns, v.key, v.value
    FROM checkpoints c CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') v
    WHERE c.thread_id = %(thread)s AND c.metadata ->> 'run_id' IS DISTINCT FROM %(run)s
)
DELETE FROM checkpoint_blobs b USING unused u
WHERE b.thread_id = %(thread)s AND (b.checkpoint_ns, b.channel, b.version) = (u.checkpoint_ns, u.key, u.value)
"""


@functools.cache
def statement(*, blobs: bool, checkpoints: bool, replaced: bool, added: bool) -> str:
    """The single statement of a batch, with the parts it needs.

    PostgreSQL prepares each variant once.
    """
    return "".join(
        (
            FENCE,
            BLOBS if blobs else "",
            CHECKPOINTS if checkpoints else "",
            REPLACE if replaced else "",
            ADD if added else "",
            " SELECT id FROM live",
        )
    )


def columns(prefix: str, rows: dict[tuple[Any, ...], tuple[Any, ...]]) -> dict[str, list[Any]]:
    """The rows of one table as one array per column."""
    flat = [(*key, *values) for key, values in rows.items()]
    return {f"{prefix}{index}": list(column) for index, column in enumerate(zip(*flat, strict=True))}
