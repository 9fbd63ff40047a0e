"""Locks held too long, and aborted transactions: requests are answered, nothing is lost."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.processes.faults import (
    GATED,
    REFUSED,
    SERVE,
    finished,
    front,
    injected,
    is_frozen,
    left,
    locked,
    owner,
    raising,
    stop,
)
from tests.processes.harness import STEPS, Site, eventually, within
from tests.processes.invariants import sound
from threads.db.database import THREADS

pytestmark = pytest.mark.postgresql


def test_threads_that_all_wait_for_a_lock_answer_503_in_time_and_cost_no_lease(site: Site) -> None:
    """All database calls of requests wait for longer than a lease."""
    serving, other = site.several(2, *SERVE)
    run = site.create("gated", process=serving)
    site.executing(run, "gate")
    assert owner(site, run, serving, other) is serving
    thread_id = site.client(serving).threads.create()["thread_id"]
    url, body = f"{serving.url}/threads/{thread_id}", {"assistant_id": "steps", "input": {"log": []}}

    def create(_: int) -> tuple[int, float]:
        began = time.monotonic()
        return httpx.post(f"{url}/runs", json=body, timeout=60).status_code, time.monotonic() - began

    threads = THREADS["postgresql"]
    with ThreadPoolExecutor(threads) as pool, locked(site, thread_id):
        held = [pool.submit(create, number) for number in range(threads)]
        eventually(
            lambda: (
                len(site.database.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype <> 'relation'"))
                >= threads
            ),
            what="all of them wait for the lock",
        )
        began = time.monotonic()
        answer = httpx.get(url, timeout=60)
        assert answer.status_code in (200, 503)
        assert time.monotonic() - began < within(15)
        for each in held:
            status, took = each.result()
            assert status == 503
            assert took < within(15)
        assert httpx.get(f"{serving.url}/ok").status_code == 200
        assert site.row(run)["attempt"] == 1
    assert httpx.get(url).json()["status"] == "idle"
    site.open_gate()
    row = site.finish(run)
    assert (row["status"], row["attempt"]) == ("success", 1)
    assert site.executed(run) == GATED
    assert finished(site) == 1, "a run that was refused does not exist"
    stop(serving, other)
    sound(site, allowed=REFUSED)


def test_a_pool_with_fewer_connections_than_threads_starves_nobody(site: Site) -> None:
    serving = site.start(DATABASE_POOL="2")
    runs = [site.create("steps", {"delay": 0.02}) for _ in range(10)]
    for run in runs:
        assert site.finish(run)["status"] == "success"
    stop(serving)
    sound(site)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_a_transaction_that_the_database_gives_up_is_tried_again(site: Site, sqlstate: str) -> None:
    serving, other = site.several(2, *SERVE)
    with raising(site.database, sqlstate, "runs_run", "threads_thread", every=7):
        runs = [site.create("steps", process=each) for each in (serving, other) for _ in range(15)]
        queued = [site.create("parallel", thread=run["thread_id"], process=other) for run in runs[:5]]
        cancelled = site.create("gated", process=serving)
        site.executing(cancelled, "gate")
        site.client(other).runs.cancel(cancelled["thread_id"], cancelled["run_id"], wait=True)
        for run in (*runs, *queued):
            row = site.finish(run)
            assert (row["status"], row["attempt"]) == ("success", 1)
        assert site.row(cancelled)["status"] == "interrupted"
        assert injected(site) > 70
        stop(serving, other)
    for run in runs:
        assert site.executed(run) == STEPS
    sound(site)


def test_a_process_that_is_frozen_within_a_transaction_gives_its_locks_back(site: Site) -> None:
    """It freezes while it settles its run; its lock on the thread prevents a takeover."""
    lease = 3.0
    times = {"LEASE": lease, "HEARTBEAT": 0.5}
    serving = front(site)
    frozen = site.worker(FAILPOINT="frozen", run_settings=times)
    run = site.create("steps", durability="sync", process=serving)
    eventually(lambda: is_frozen(frozen), what="it freezes")
    other = site.worker(run_settings=times)
    began = time.monotonic()
    row = site.finish(run)
    idle_in_transaction = 10.0
    assert time.monotonic() - began < max(lease, idle_in_transaction) + within(5)
    assert (row["status"], row["attempt"]) == ("success", 2)
    assert site.executed(run) == STEPS
    before = left(site, run)
    frozen.resume()
    eventually(lambda: "Going on as worker" in frozen.output)
    assert left(site, run) == before
    stop(other)
    assert site.finish(site.create("steps", process=serving))["status"] == "success"
    stop(serving, frozen)
    sound(site, allowed="lost its lease|" + REFUSED)
