"""Claims: which runs, in which order, to which worker; compared with a simple model."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from runs.lifecycle.claims import claim
from runs.models import Run
from tests.support.rows import make_run, make_thread, make_user, make_worker
from threads.db import clock
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)


def claimed(limit: int = 10, *, queues: Collection[str] | None = None, worker: Any = None) -> list[Run]:
    return claim((worker or make_worker()).id, limit=limit, queues=queues)


def by_the_rule(runs: list[Run], *, limit: int, queues: Collection[str] | None, per_user: int) -> list[Any]:
    """Priority, then the user with the fewest running runs, then age; within a thread age alone."""
    now = clock.now()
    busy = {run.thread_id for run in runs if run.status == "running"}
    load = Counter(run.user_id for run in runs if run.status == "running")
    due_once = connection.vendor == "sqlite"  # its clock may be set back
    due = [
        run for run in runs if run.status == "pending" and (run.due_at <= now or (due_once and run.attempt))
    ]
    first: dict[Any, Run] = {}
    for run in sorted(due, key=lambda run: (not run.attempt, run.due_at, run.id)):
        first.setdefault(run.thread_id, run)
    own: defaultdict[int, list[Run]] = defaultdict(list)
    for run in first.values():
        if run.thread_id not in busy and (queues is None or run.queue in queues):
            own[run.user_id].append(run)
    candidates = []
    for user, waiting in own.items():
        waiting.sort(key=lambda run: (-run.priority, run.due_at, run.id))
        for place, run in enumerate(waiting, start=1):
            if not per_user or load[user] + place <= per_user:
                candidates.append((-run.priority, load[user] + place, run.due_at, run.id))
    return [candidate[-1] for candidate in sorted(candidates)[:limit]]


def make_some(chance: random.Random) -> None:
    """A site where some users have many runs and others few, on free and busy threads, of two queues."""
    users = [make_user() for _ in range(4)]
    for user in users:
        for _ in range(chance.randrange(5)):
            thread = make_thread(user=user, status="busy")
            if chance.random() < 0.3:
                make_run("running", thread=thread)
            for _ in range(chance.randrange(3)):
                due = clock.now() + timedelta(seconds=chance.choice([-9, -5, -5, -1, 60]))
                make_run(
                    thread=thread,
                    due_at=due,
                    queue=chance.choice(["default", "slow"]),
                    priority=chance.choice([0, 0, 0, 1, -1]),
                    attempt=chance.choice([0, 0, 1]),
                )


@pytest.mark.parametrize("seed", range(25))
def test_claims_follow_the_rule(run_settings: Any, seed: int) -> None:
    chance = random.Random(seed)
    make_some(chance)
    limit = chance.choice([1, 2, 5, 50])
    queues = chance.choice([None, None, {"slow"}, {"default", "slow"}, {"nobody's"}])
    per_user = chance.choice([0, 0, 1, 2])
    run_settings(USER_CONCURRENCY=per_user)
    before = {run.id: run for run in Run.objects.all()}
    epochs = dict(Thread.objects.values_list("id", "epoch"))
    expected = by_the_rule(list(before.values()), limit=limit, queues=queues, per_user=per_user)
    worker = make_worker()
    found = claimed(limit, queues=queues, worker=worker)
    assert [run.id for run in found] == expected
    for run in found:
        row = Run.objects.get(id=run.id)
        assert (row.status, row.worker_id, row.attempt) == ("running", worker.id, before[run.id].attempt + 1)
        assert row.epoch == Thread.objects.get(id=row.thread_id).epoch == epochs[row.thread_id] + 1
        assert (run.epoch, run.attempt, run.status) == (row.epoch, row.attempt, row.status)
        assert run.assistant.graph_id == "steps"
    others = Run.objects.exclude(id__in=expected)
    assert {run.id: run.status for run in others} == {
        run.id: run.status for run in before.values() if run.id not in expected
    }


def test_a_noisy_user_waits_while_others_are_served() -> None:
    noisy, quiet = make_user(), make_user()
    for _ in range(30):
        make_run(thread=make_thread(user=noisy), age=60)
    make_run(thread=make_thread(user=quiet), age=1)
    users = [run.user_id for run in claimed(2)]
    assert users == [noisy.pk, quiet.pk]


def test_a_higher_priority_goes_first_whoever_it_belongs_to() -> None:
    busy, idle = make_user(), make_user()
    for _ in range(3):
        make_run("running", thread=make_thread(user=busy))
    make_run(thread=make_thread(user=idle), age=60)
    urgent = make_run(thread=make_thread(user=busy), priority=1)
    assert [run.id for run in claimed(1)] == [urgent.id]


def test_the_limit_for_all_counts_what_runs_already(run_settings: Any) -> None:
    run_settings(TOTAL_CONCURRENCY=3)
    make_run("running")
    for _ in range(5):
        make_run()
    assert len(claimed()) == 2
    assert claimed() == []


def test_a_run_with_an_earlier_sibling_in_another_queue_waits_for_it() -> None:
    thread = make_thread()
    make_run(thread=thread, queue="slow", age=60)
    make_run(thread=thread, age=1)
    assert claimed(queues={"default"}) == []


@pytest.mark.postgresql
def test_a_locked_thread_hides_no_other_threads_run() -> None:
    locked, free = [make_run(age=60) for _ in range(60)], make_run(age=1)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(Thread.objects.filter(runs__in=locked).order_by("id").locked())
            held.set()
            over.wait(10)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        assert [run.id for run in claimed(30)] == [free.id]
    finally:
        over.set()
        holder.join()
    assert len(claimed(100)) == 60


@pytest.mark.postgresql
def test_racing_workers_share_the_runs_and_none_is_claimed_twice() -> None:
    runs = {make_run().id for _ in range(80)}
    found: list[list[Run]] = []

    def work() -> None:
        worker = make_worker()
        while batch := claimed(7, worker=worker):
            found.append(batch)
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    ids = [run.id for batch in found for run in batch]
    left = {run.id for run in claimed(100)}
    assert len(ids) == len(set(ids))
    assert set(ids) | left == runs


@pytest.mark.postgresql
def test_racing_claims_do_not_exceed_a_limit(run_settings: Any) -> None:
    run_settings(USER_CONCURRENCY=3)
    user = make_user()
    for _ in range(20):
        make_run(thread=make_thread(user=user))
    barrier = threading.Barrier(4)

    def work() -> None:
        worker = make_worker()
        barrier.wait()
        claimed(5, worker=worker)
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert Run.objects.filter(status="running").count() == 3


@pytest.mark.postgresql
def test_a_claim_reads_few_rows_however_many_wait() -> None:
    """Each user's oldest runs are found by an index.

    Other pending or finished runs are not read.
    """
    user, other = make_user(), make_user()
    seed = make_run(thread=make_thread(user=user))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO threads_thread SELECT (t).* FROM (SELECT jsonb_populate_record(th, jsonb_build_object("
            "'id', gen_random_uuid())) AS t FROM threads_thread th, generate_series(1, 3000) WHERE th.id = %s) s",
            [seed.thread_id],
        )
        cursor.execute(
            "INSERT INTO runs_run SELECT (r).* FROM (SELECT jsonb_populate_record(run, jsonb_build_object('id', "
            "gen_random_uuid(), 'thread_id', t.id)) AS r FROM runs_run run, threads_thread t "
            "WHERE run.id = %s AND t.id <> %s) s",
            [seed.id, seed.thread_id],
        )
        cursor.execute("ANALYZE runs_run, threads_thread")
    make_run(thread=make_thread(user=other))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        before = _tuples_read(cursor)
        found = claimed(10)
        cursor.execute("SELECT pg_stat_force_next_flush()")
        read = _tuples_read(cursor) - before
    assert {run.user_id for run in found} == {user.pk, other.pk}
    assert read < 300, f"{read} rows were read for 10 claims among 3000 waiting runs"


def _tuples_read(cursor: Any) -> int:
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    cursor.execute("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'runs_run'")
    return int(cursor.fetchone()[0])
