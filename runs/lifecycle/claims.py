"""Claiming: assigns pending runs to a worker, at most one run per thread, fairly among users.

The order is: priority, then the user with the fewest running runs (a user's second candidate counts
as if the first one were running), then age. Within a thread only age counts, after a run that has
started. A locked thread is skipped, not waited for. A thread whose first run cannot be claimed does
not block other threads. Runs of a paused queue are not claimed, except to finish their cancellation.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from runs import graphs
from runs.conf import settings
from runs.models import Assistant, PausedQueue, Run
from threads.db import clock
from threads.models import Thread

#: Extra candidates, because other transactions may have locked the threads of the first ones.
SPARE = 40
#: The advisory lock that claims take while limits are set. Without it, concurrent claims could exceed a
#: limit.
LIMITS_LOCK = 0x6C696D697473
RUNS, THREADS = Run._meta.db_table, Thread._meta.db_table

#: A run's place in its thread's queue. A run that has started comes first, because its checkpoints are the
#: newest.
IN_THREAD = "(CASE WHEN {0}.attempt > 0 THEN 0 ELSE 1 END, {0}.due_at, {0}.id)"
#: A run without a delay is due as soon as it exists, because the clock of the process that admitted it may be
#: slightly ahead. A run that has started was due before, even if the clock was set back since; on PostgreSQL
#: all processes use the server's clock.
DUE = {
    "postgresql": "({0}.due_at <= %(now)s OR {0}.due_at <= {0}.created_at)",
    "sqlite": "({0}.due_at <= %(now)s OR {0}.due_at <= {0}.created_at OR {0}.attempt > 0)",
}
#: On PostgreSQL other processes may have other code during a rolling deploy, so a run waits for a process
#: that has its graph. After GRAPH_WAIT any worker claims it, and the run fails with an error that says so.
GRAPHS = f""" AND (r.updated_at < %(nobody)s OR EXISTS (
        SELECT 1 FROM {Assistant._meta.db_table} s WHERE s.id = r.assistant_id AND s.graph_id = ANY(%(graphs)s)))"""
#: The paused queues are read once for a claim, not for each of its candidates. CASE hides the comparison from
#: PostgreSQL's planner, which otherwise expects hardly any run to pass it, and then sorts all waiting runs.
PAUSED = f"SELECT name FROM {PausedQueue._meta.db_table}"
NOT_PAUSED = {
    "postgresql": f"(r.cancel_action <> '' OR CASE WHEN r.queue = ANY(ARRAY({PAUSED})) THEN false ELSE true END)",
    "sqlite": f"(r.cancel_action <> '' OR r.queue NOT IN ({PAUSED}))",
}
#: A run `r` that is due, first in its thread's queue, and on a thread without a running run.
RUNNABLE = f"""r.status = 'pending' AND {{due_r}} AND {{not_paused}}{{queues}}{{graphs}}
    AND NOT EXISTS (SELECT 1 FROM {RUNS} b WHERE b.thread_id = r.thread_id AND b.status = 'running')
    AND NOT EXISTS (SELECT 1 FROM {RUNS} a WHERE a.thread_id = r.thread_id AND a.status = 'pending'
        AND {{due_a}} AND {IN_THREAD.format("a")} < {IN_THREAD.format("r")})"""
ONE_OF = {"postgresql": "= ANY(%(queues)s)", "sqlite": "IN (SELECT value FROM json_each(%(queues)s))"}
LOAD = f"SELECT user_id, count(*) AS running FROM {RUNS} WHERE status = 'running' GROUP BY user_id"
PLACE = "row_number() OVER ({partition}ORDER BY r.priority DESC, r.due_at, r.id) AS place"
FAIR = "c.priority DESC, coalesce(l.running, 0) + c.place, c.due_at, c.id"
WITHIN_LIMIT = "(%(per_user)s = 0 OR coalesce(l.running, 0) + c.place <= %(per_user)s)"

# PostgreSQL reads a few rows of each waiting user by an index, however many runs wait. A loose index scan
# finds the users, with one probe each; a lateral query finds each user's oldest runnable runs. Each user
# contributes at most the number to claim, and a share of the spare candidates.
ON_POSTGRES = f"""
WITH RECURSIVE waiting AS (
    (SELECT user_id FROM {RUNS} WHERE status = 'pending' ORDER BY user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT p.user_id FROM {RUNS} p WHERE p.status = 'pending' AND p.user_id > w.user_id
        ORDER BY p.user_id LIMIT 1)
    FROM waiting w WHERE w.user_id IS NOT NULL
), candidates AS MATERIALIZED (
    SELECT c.id, c.thread_id, row_number() OVER (ORDER BY {FAIR}) AS turn
    FROM waiting w
    CROSS JOIN LATERAL (
        SELECT r.id, r.thread_id, r.priority, r.due_at, {PLACE.format(partition="")}
        FROM {RUNS} r WHERE r.user_id = w.user_id AND {RUNNABLE}
        ORDER BY r.priority DESC, r.due_at, r.id
        LIMIT (SELECT %(limit)s + %(spare)s / greatest(count(user_id), 1) FROM waiting)
    ) c
    LEFT JOIN ({LOAD}) l ON l.user_id = w.user_id
    WHERE {WITHIN_LIMIT}
    ORDER BY turn LIMIT %(limit)s + %(spare)s
)"""
ON_SQLITE = f"""
SELECT c.id FROM (
    SELECT r.id, r.user_id, r.priority, r.due_at, {PLACE.format(partition="PARTITION BY r.user_id ")}
    FROM {RUNS} r WHERE {RUNNABLE}
) c LEFT JOIN ({LOAD}) l ON l.user_id = c.user_id
WHERE {WITHIN_LIMIT} ORDER BY {FAIR} LIMIT %(limit)s
"""


def claim(worker_id: UUID, *, limit: int, queues: Collection[str] | None = None) -> list[Run]:
    """Claim up to `limit` due runs for a worker, in one transaction that locks their threads.

    Args:
        queues: Only runs of these queues; None for all.
    """
    with transaction.atomic():
        if (room := _room()) is not None:
            limit = min(limit, room)
        if limit <= 0:
            return []
        now = clock.now()
        parameters: dict[str, Any] = {"per_user": settings.USER_CONCURRENCY, "limit": limit}
        if connection.vendor == "postgresql":
            query = _query(ON_POSTGRES, queues is not None)
            parameters |= {"now": now, "queues": sorted(queues or ()), "spare": SPARE}
            parameters |= {"graphs": graphs.names(), "nobody": now - timedelta(seconds=settings.GRAPH_WAIT)}
            claimed = Run.objects.claim_candidates(
                query, parameters, worker_id=worker_id, limit=limit, now=now
            )
        else:
            query = _query(ON_SQLITE, queues is not None)
            parameters["now"] = connection.ops.adapt_datetimefield_value(now)
            parameters["queues"] = json.dumps(sorted(queues or ()))
            claimed = _claim_each(query, parameters, worker_id=worker_id, now=now)
        turns = {run_id: turn for turn, run_id in enumerate(claimed)}
        runs = Run.objects.filter(id__in=claimed).select_related("assistant")
        return sorted(runs, key=lambda run: turns[run.id])


def _claim_each(query: str, parameters: Mapping[str, Any], *, worker_id: UUID, now: datetime) -> list[UUID]:
    """Claim the query's runs one by one; SQLite's transaction has already locked the whole
    database.
    """
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found = [UUID(hex=run_id) for (run_id,) in cursor.fetchall()]
    for run_id, thread_id, epoch in Run.objects.filter(id__in=found).values_list(
        "id", "thread_id", "thread__epoch"
    ):
        Run.objects.claim(run_id, worker_id=worker_id, epoch=epoch + 1, now=now)
        Thread.objects.filter(id=thread_id).update(epoch=epoch + 1)
    return found


@functools.cache
def _query(template: str, some_queues: bool) -> str:
    vendor = "postgresql" if template is ON_POSTGRES else "sqlite"
    queues = f" AND r.queue {ONE_OF[vendor]}" if some_queues else ""
    some_graphs = GRAPHS if vendor == "postgresql" else ""
    return template.format(
        queues=queues,
        graphs=some_graphs,
        not_paused=NOT_PAUSED[vendor],
        due_r=DUE[vendor].format("r"),
        due_a=DUE[vendor].format("a"),
    )


def _room() -> int | None:
    """How many runs may be claimed now; None for no limit. While limits are set, this excludes
    other claims.
    """
    if not settings.USER_CONCURRENCY and not settings.TOTAL_CONCURRENCY:
        return None
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LIMITS_LOCK])
    if not settings.TOTAL_CONCURRENCY:
        return None
    return settings.TOTAL_CONCURRENCY - Run.objects.filter(status="running").count()


class Owned(NamedTuple):
    """A running run of a worker, and what was asked of it."""

    epoch: int
    cancel_action: str = ""
    requeue: bool = False


def owned(worker_id: UUID) -> dict[UUID, Owned]:
    """The running runs of a worker."""
    rows = Run.objects.owned_by([worker_id]).values_list(
        "id", "epoch", "cancel_action", "requeue_requested_at"
    )
    return {run_id: Owned(epoch, action, asked is not None) for run_id, epoch, action, asked in rows}
