"""Helpers for the tests of retention: the remains of threads, and their expiry."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from runs.conf import settings
from runs.models import Run, RunEvent
from runs.retention.policy import Policy, Report, prune
from tests.support.driving import Driver
from threads.checkpoints.opening import open_pruning
from threads.checkpoints.pruning import Pruning
from threads.db import clock
from threads.models import Thread

DAY = 86_400.0
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def query(text: str, *parameters: Any) -> list[Any]:
    """Query the checkpoint tables."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(text.replace("?", "%s"), parameters)
            return list(cursor.fetchall())
    with closing(sqlite3.connect(settings.CHECKPOINTS_FILE)) as db:
        return db.execute(text.replace("checkpoint_writes", "writes"), parameters).fetchall()


def places(thread_id: UUID) -> list[tuple[str, str]]:
    """The thread's checkpoints, by namespace and id."""
    text = "SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = ? ORDER BY 1, 2"
    return query(text, str(thread_id))


def traces(thread_id: UUID) -> dict[str, int]:
    """The remaining rows of a thread, by table."""
    tables = TABLES if connection.vendor == "postgresql" else (TABLES[0], TABLES[2])
    found = {
        table: query(f"SELECT count(*) FROM {table} WHERE thread_id = ?", str(thread_id))[0][0]
        for table in tables
    }
    found["threads"] = Thread.objects.filter(id=thread_id).count()
    found["runs"] = Run.objects.filter(thread=thread_id).count()
    found["events"] = RunEvent.objects.filter(run__thread=thread_id).count()
    return {table: count for table, count in found.items() if count}


def blobs_match_versions(thread_id: UUID) -> bool:
    """Whether PostgreSQL has exactly the values that the thread's checkpoints reference."""
    versions = query(
        "SELECT c.checkpoint_ns, v.key, v.value FROM checkpoints c CROSS JOIN LATERAL "
        "jsonb_each_text(c.checkpoint -> 'channel_versions') v WHERE c.thread_id = ?",
        str(thread_id),
    )
    blobs = query(
        "SELECT checkpoint_ns, channel, version FROM checkpoint_blobs WHERE thread_id = ?", str(thread_id)
    )
    return bool(blobs) and set(blobs) <= set(versions)


def expire(*thread_ids: UUID, strategy: str = "delete") -> None:
    """Let threads have expired a minute ago."""
    Thread.objects.filter(id__in=thread_ids).update(
        ttl_minutes=1.0, ttl_strategy=strategy, expires_at=clock.now() - timedelta(minutes=1)
    )


def pruning() -> Pruning:
    return open_pruning(file=settings.CHECKPOINTS_FILE)


def report_of(policy: Policy) -> Report:
    return prune(policy, pruning())


@pytest.fixture
def quiet(run_settings: Any) -> Any:
    """No sweep in the background: the test prunes."""
    run_settings(SWEEP=1000.0, RETENTION_SWEEP=1000.0)
    return run_settings


async def values(driver: Driver, run: Run, graph: Any = None) -> Any:
    """A thread's state, read by a stock saver, or through the graph if its channels need it."""
    config = {"configurable": {"thread_id": str(run.thread_id)}}
    reader = driver.runtime.storage.reader()
    if graph is None:
        found = await reader.aget_tuple(config)  # type: ignore[arg-type]
        assert found is not None
        return found.checkpoint["channel_values"], found.pending_writes
    graph.checkpointer = reader
    return (await graph.aget_state(config)).values


def closing_connection(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    finally:
        connection.close()


def later(moment: datetime | None, minutes: float) -> datetime:
    """A time, which must not be None, plus some minutes."""
    assert moment is not None
    return moment + timedelta(minutes=minutes)
