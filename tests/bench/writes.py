"""Costs of a run's parts in PostgreSQL: a checkpoint's fence, a notification, rows and WAL."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from statistics import median
from typing import Any

import psycopg

TABLES = (
    "threads_thread",
    "runs_run",
    "runs_runevent",
    "checkpoints",
    "checkpoint_blobs",
    "checkpoint_writes",
)
WRITERS = 4


def fence_cost(url: str, *, size: int, samples: int) -> tuple[float, float]:
    """Milliseconds of a checkpoint write of `size` threads, with and without its fence.

    No wait for the disk.
    """
    import django

    # The statement's module reads the models' table names; no query goes through Django.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.settings")
    django.setup()
    from threads.checkpoints.postgres.statements import BLOBS, CHECKPOINTS, FENCE, REPLACE

    rest = f"{BLOBS}{CHECKPOINTS}{REPLACE} SELECT id FROM live"
    bare = (
        "WITH live AS MATERIALIZED (SELECT id, id::text AS thread_id "
        "FROM unnest(%(threads)b::uuid[], %(epochs)b::bigint[]) AS f(id, epoch))"
    )
    found: dict[str, list[float]] = {FENCE + rest: [], bare + rest: []}
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as db:
        db.execute("SET synchronous_commit = off")
        threads = [
            row[0]
            for row in db.execute("SELECT id FROM threads_thread ORDER BY id LIMIT %s", [size]).fetchall()
        ]
        for number in range(samples + 10):
            for query, times in found.items():
                parameters = _checkpoint_rows(threads)
                began = time.perf_counter()
                db.execute(query, parameters).fetchall()
                if number >= 10:
                    times.append((time.perf_counter() - began) * 1000)
    fenced, unfenced = found.values()
    return median(fenced), median(unfenced)


def _checkpoint_rows(threads: list[uuid.UUID]) -> dict[str, list[Any]]:
    """A checkpoint, a channel's value and a task's write for each thread, new ones each time."""
    many, new = len(threads), [str(uuid.uuid4()) for _ in threads]
    names, blob, texts = [""] * many, [b"x" * 200] * many, ["value"] * many
    epochs = [0] * many
    return {
        "threads": threads, "epochs": epochs,
        "b0": threads, "b1": names, "b2": texts, "b3": new, "b4": texts, "b5": blob,
        "c0": threads, "c1": names, "c2": new, "c3": new, "c4": ["{}"] * many, "c5": ["{}"] * many,
        "w0": threads, "w1": names, "w2": new, "w3": new, "w4": epochs, "w5": names, "w6": texts, "w7": texts, "w8": blob,
    }  # fmt: skip


def notify_rates(url: str, seconds: float) -> dict[str, float]:
    """Commits per second of four writers that notify never, after the commit, or within it.

    A listener is connected.
    """

    def alone(db: psycopg.Connection[Any]) -> None:
        db.execute("INSERT INTO bench_notes (note) VALUES ('x')")

    def after(db: psycopg.Connection[Any]) -> None:
        alone(db)
        db.execute("SELECT pg_notify('bench', 'x')")

    def within(db: psycopg.Connection[Any]) -> None:
        db.execute(
            "WITH added AS (INSERT INTO bench_notes (note) VALUES ('x')) SELECT pg_notify('bench', 'x')"
        )

    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute("CREATE TABLE IF NOT EXISTS bench_notes (note text)")
        listener.execute("LISTEN bench")
        rates = {}
        for name, work in (("none", alone), ("after", after), ("within", within)):
            rates[name] = _rate_of(url, work, seconds)
            for _ in listener.notifies(timeout=0.05):
                pass
        return rates


def _rate_of(url: str, work: Callable[[psycopg.Connection[Any]], None], seconds: float) -> float:
    counts = [0] * WRITERS
    ready = threading.Barrier(WRITERS)

    def write(number: int) -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=0) as db:
            ready.wait()
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                work(db)
                counts[number] += 1

    workers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def counters(db: psycopg.Connection[Any]) -> dict[str, float]:
    """The database's write counters: WAL, commits, and the rows and bytes of a run's tables."""
    time.sleep(11)  # an idle connection reports its statistics after ten seconds

    def ask(query: str, *parameters: Any) -> tuple[Any, ...]:
        row = db.execute(query, parameters).fetchone()
        assert row is not None
        return tuple(row)

    wal, images = ask("SELECT wal_bytes, wal_fpi FROM pg_stat_wal")
    (commits,) = ask("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    found = {"WAL bytes": float(wal), "page images": float(images), "commits": float(commits)}
    for table in TABLES:
        added, changed, size = ask(
            "SELECT n_tup_ins, n_tup_upd, pg_total_relation_size(relid) FROM pg_stat_user_tables WHERE relname = %s",
            table,
        )
        found |= {f"{table} inserted": added, f"{table} updated": changed, f"{table} bytes": float(size)}
    return found
