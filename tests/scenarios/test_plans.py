"""PostgreSQL's plans of the hot queries on large tables: none reads a whole table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from langgraph.checkpoint.postgres.base import SELECT_SQL

from runs.api.routes.runs import list_of_runs
from runs.events.thread_log import turns_after
from tests.support.rows import make_assistant, make_user
from threads.api import searching
from threads.api.schemas import ThreadFilter, ThreadSearch
from threads.checkpoints.listing import Listing
from threads.checkpoints.postgres.reader import statement
from threads.models import Thread

pytestmark = pytest.mark.postgresql

THREADS, OWNED = 12_000, 4_000

# One user has a third of the threads; one in a thousand has rare metadata.
MAKE_THREADS = """
INSERT INTO threads_thread (id, user_id, status, resting_status, metadata, config, "values", interrupts, epoch,
    created_at, updated_at, state_updated_at)
SELECT gen_random_uuid(), CASE WHEN n <= %s THEN %s ELSE %s END, 'idle', 'idle',
    jsonb_build_object('graph_id', 'steps', 'project', CASE WHEN n %% 1000 = 0 THEN 'rare' ELSE 'p' || n %% 10 END),
    '{}', '{"log": ["s1", "s2"]}', '{}', 1, now() - n * interval '1 second', now() - n * interval '1 second', now()
FROM generate_series(1, %s) n
"""
MAKE_RUNS = """
INSERT INTO runs_run (id, thread_id, assistant_id, user_id, status, metadata, kwargs, multitask_strategy, temporary,
    recovery, created_at, updated_at, due_at, attempt, lost_attempts, epoch, cancel_action, event_count, input_tokens,
    output_tokens)
SELECT gen_random_uuid(), id, %s, user_id, 'success', '{}', '{}', 'enqueue', false, '', created_at, created_at,
    created_at, 1, 0, 1, '', 0, 0, 0 FROM threads_thread
"""
MAKE_CHECKPOINTS = """
INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata)
SELECT t.id::text, '', gen_random_uuid()::text, '{"channel_versions": {"log": "1"}}', '{"source": "loop"}'
FROM (SELECT id FROM threads_thread LIMIT 1000) t, generate_series(1, 10)
"""
MAKE_BLOBS = """
INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type)
SELECT DISTINCT thread_id, '', 'log', '1', 'empty' FROM checkpoints
"""
MAKE_WRITES = """
INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob)
SELECT thread_id, '', checkpoint_id, 'task', 0, 'log', 'empty', '' FROM checkpoints
"""


class Somebody:
    def __init__(self, user_id: int) -> None:
        self.user_id = user_id


@pytest.fixture
def somebody(db: None) -> Somebody:
    """A user with four thousand threads among many."""
    owner, other = make_user(), make_user()
    with connection.cursor() as cursor:
        cursor.execute(MAKE_THREADS, [OWNED, owner.pk, other.pk, THREADS])
        cursor.execute(MAKE_RUNS, [make_assistant().pk])
        for query in (MAKE_CHECKPOINTS, MAKE_BLOBS, MAKE_WRITES):
            cursor.execute(query)
        cursor.execute("ANALYZE threads_thread, runs_run, checkpoints, checkpoint_blobs, checkpoint_writes")
        # As autovacuum does: move pending inserts into the index.
        cursor.execute("SELECT gin_clean_pending_list('threads_by_metadata')")
    return Somebody(owner.pk)


def plans(function: Any, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """The plans of all queries on tables in a function."""
    with CaptureQueriesContext(connection) as queries:
        function(*args, **kwargs)
    return [plan_of(query["sql"]) for query in queries if " FROM " in query["sql"]]


def plan_of(query: str, parameters: Any = None) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {query}", parameters)
        found = cursor.fetchone()[0]
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def scans(plan: dict[str, Any]) -> list[str]:
    return [node["Relation Name"] for node in nodes(plan) if node["Node Type"].endswith("Seq Scan")]


def indexes(plan: dict[str, Any]) -> set[str]:
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


def test_no_search_reads_the_whole_table_and_each_has_its_index(somebody: Somebody) -> None:
    columns: Any = ("thread_id", "status", "created_at", "updated_at", "state_updated_at")
    some = list(Thread.objects.values_list("id", flat=True)[:5])
    conditions: list[dict[str, Any]] = [
        {}, {"metadata": {"project": "p3"}}, {"metadata": {"project": "rare"}}, {"values": {"log": ["s1"]}},
        {"status": "busy"}, {"ids": some},
    ]  # fmt: skip
    for column in columns:
        for condition in conditions:
            for offset in (0, 100):
                search = ThreadSearch.model_validate({"sort_by": column, "offset": offset, **condition})
                plan = plans(searching.page, search, principal=somebody)[0]
                assert scans(plan) == [], (column, condition)

    wanted = {"metadata": {"project": "rare"}}
    plan = plans(
        searching.page, ThreadSearch.model_validate({"sort_by": "updated_at", **wanted}), principal=somebody
    )[0]
    assert "threads_by_metadata" in indexes(plan)
    plan = plans(searching.count, ThreadFilter.model_validate(wanted), principal=somebody)[0]
    assert "threads_by_metadata" in indexes(plan)
    plan = plans(searching.page, ThreadSearch.model_validate({}), principal=somebody)[0]
    assert indexes(plan) == {"threads_by_user"}
    # The index does not order rows that were created at the same time.
    assert "Sort" not in {node["Node Type"] for node in nodes(plan)}


def test_what_a_thread_has_is_found_by_the_thread(somebody: Somebody) -> None:
    thread = Thread.objects.filter(user=somebody.user_id).first()
    assert thread is not None
    options: dict[str, Any] = {"status": None, "select": [], "limit": 10, "offset": 0}
    for plan in plans(list_of_runs, thread.id, principal=somebody, **options):
        assert scans(plan) == []
    for plan in plans(turns_after, thread.id, (1, 5)):
        assert set(scans(plan)) <= {"threads_stateedit"}
    where = "WHERE thread_id = %s AND checkpoint_ns = %s"
    for more, parameters in (
        ("ORDER BY checkpoint_id DESC LIMIT 1", []),
        ("AND checkpoint_id = %s", ["x"]),
        ("ORDER BY checkpoint_id DESC LIMIT 10", []),
        ("AND checkpoint_id < %s ORDER BY checkpoint_id DESC LIMIT 100", ["x"]),
        ("AND metadata @> %s ORDER BY checkpoint_id DESC LIMIT 10", ['{"source": "input"}']),
    ):
        plan = plan_of(f"{SELECT_SQL} {where} {more}", [str(thread.id), "", *parameters])
        assert scans(plan) == [], more


def test_a_history_is_read_by_the_threads_indexes(somebody: Somebody) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT thread_id FROM checkpoints LIMIT 1")
        thread = cursor.fetchone()[0]
    for metadata in ({}, {"source": "input"}):
        for before in (None, "x"):
            for limit in (10, 1000, None):
                wanted = Listing(thread, "", metadata, before, limit)
                parameters = {
                    "thread": thread, "ns": "", "before": before, "metadata": json.dumps(metadata), "limit": limit,
                }  # fmt: skip
                plan = plan_of(statement(wanted), parameters)
                assert scans(plan) == [], wanted
                assert {"checkpoints", "checkpoint_blobs", "checkpoint_writes"} == {
                    node["Relation Name"] for node in nodes(plan) if "Relation Name" in node
                }
