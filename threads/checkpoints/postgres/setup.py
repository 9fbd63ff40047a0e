"""Creating LangGraph's tables in PostgreSQL."""

from __future__ import annotations

import time

import psycopg
from django.db import connections
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.rows import dict_row

from threads.checkpoints.postgres.storage import connection_string

#: The advisory lock around LangGraph's own `setup()`, which fails when two processes run it on an empty database
#: (durability §2.8: 1 of 16 starts).
LOCK = 0x6C675F7365747570
WAIT_SECONDS = 60


def create_tables(using: str = "default") -> None:
    """Create or migrate the tables; safe to call from several processes at once.

    Raises TimeoutError if another process holds the lock for a minute.
    """
    with psycopg.connect(
        connection_string(connections[using]), autocommit=True, prepare_threshold=0, row_factory=dict_row
    ) as db:
        deadline = time.monotonic() + WAIT_SECONDS
        # Polled: a session that waits in a statement has a snapshot, and CREATE INDEX CONCURRENTLY would wait
        # until it ends.
        while not _locked(db):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    "Another process has been creating the checkpoint tables for more than a minute."
                )
            time.sleep(0.2)
        PostgresSaver(db).setup()


def _locked(db: psycopg.Connection[dict[str, object]]) -> bool:
    row = db.execute("SELECT pg_try_advisory_lock(%s) AS locked", [LOCK]).fetchone()
    return bool(row and row["locked"])
