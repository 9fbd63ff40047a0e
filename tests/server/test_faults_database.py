"""The database ends connections, is slow, full, read-only, or gives transactions up: no run is lost or doubled by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from tests.server.databases import Postgres
from tests.server.faults import (
    SERVE,
    end_backends,
    front,
    injected,
    is_frozen,
    left,
    owner,
    postgres,
    proxied,
    raising,
    stop,
)
from tests.server.harness import STEPS, TERMINAL, Site, eventually, free_port
from tests.server.invariants import read_everything, sound
from tests.server.readers import Reader

pytestmark = pytest.mark.postgresql

GATED = ["before", "gate", "after", "last"]
#: Leases that no fault of these tests outlasts.
LONG = {"LEASE": 30.0, "HEARTBEAT": 2.0}
#: What a server may say while the database refuses it.
REFUSED = r"failed: |Service Unavailable|could not be|Events could not|are tried again|is tried again"


def finished(site: Site) -> int:
    [row] = site.database.rows(f"SELECT count(*) FROM runs_run WHERE status IN {tuple(sorted(TERMINAL))}")
    return int(row["count"])


def test_a_storm_that_ends_every_connection_loses_and_doubles_nothing(site: Site) -> None:
    serving, *executing = front(site), site.worker(), site.worker()
    site.client(serving)  # which the threads share
    with ThreadPoolExecutor(8) as pool:
        delays = [0.05 + 0.01 * (number % 20) for number in range(120)]
        runs = list(pool.map(lambda delay: site.create("steps", {"delay": delay}, process=serving), delays))
    readers = [Reader(site, run, process=serving) for run in runs[:4]]
    for milestone in (1, 15, 40, 80, 110):
        eventually(lambda least=milestone: finished(site) >= least, timeout=60, what=f"{milestone} runs end")
        assert end_backends(site) > 0
    for run in runs:
        row = site.finish(run, timeout=60)
        assert row["status"] == "success", row
        assert site.values(run)["log"] == STEPS
        began = site.executions(run)
        assert max(began.values()) <= 1 + row["lost_attempts"]
        assert sum(began.values()) <= len(STEPS) + 2 * row["lost_attempts"]
    for run, reader in zip(runs, readers, strict=False):
        read_everything(site, run, reader.finish())
    stop(serving, *executing)
    sound(site, allowed="could not be")


@contextmanager
def locked(site: Site, thread_id: str) -> Iterator[None]:
    """Hold the lock of a thread's row."""
    with psycopg.connect(postgres(site).url) as db:
        db.execute("SELECT 1 FROM threads_thread WHERE id = %s FOR UPDATE", [thread_id])
        yield
        db.rollback()


def test_threads_that_all_wait_for_a_lock_answer_503_in_time_and_cost_no_lease(site: Site) -> None:
    """Everything that reaches the database from requests waits, for longer than a lease lasts."""
    serving, other = site.several(2, *SERVE)
    run = site.create("gated", process=serving)
    site.executing(run, "gate")
    assert owner(site, run, serving, other) is serving
    thread_id = site.client(serving).threads.create()["thread_id"]
    url, body = f"{serving.url}/threads/{thread_id}", {"assistant_id": "steps", "input": {"log": []}}

    def create(_: int) -> tuple[int, float]:
        began = time.monotonic()
        return httpx.post(f"{url}/runs", json=body, timeout=60).status_code, time.monotonic() - began

    threads = 12
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
        assert time.monotonic() - began < 15
        for each in held:
            status, took = each.result()
            assert status == 503
            assert took < 15
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


@pytest.mark.parametrize(("each_way", "times"), [(0.1, {}), (0.8, {"LEASE": 12.0, "HEARTBEAT": 3.0})])
def test_a_slow_database_slows_runs_and_takes_none_from_its_worker(
    site: Site, each_way: float, times: dict[str, float]
) -> None:
    with proxied(site) as (proxy, url):
        serving, slow = front(site), site.worker(DATABASE_URL=url, run_settings=times)
        run = site.create("gated", process=serving)
        site.executing(run, "gate")
        other = site.worker()
        proxy.delay(up=each_way, down=each_way)
        lease = times.get("LEASE", 6.0)
        [before] = site.database.rows("SELECT now() AS now")
        eventually(
            lambda: site.database.rows(
                f"SELECT 1 FROM runs_worker WHERE pid = {slow.pid} AND stopped_at IS NULL "
                f"AND heartbeat_at > '{before['now']}'::timestamptz + interval '{lease} s'"
            ),
            timeout=3 * lease,
            what="the slow worker renews its lease for longer than one lasts",
        )
        assert site.client(serving).runs.get(run["thread_id"], run["run_id"])["status"] == "running"
        assert httpx.get(slow.url + "/ok").status_code == 200
        site.open_gate()
        if each_way > 0.5:
            site.executing(run, "after")
            proxy.heal()
        row = site.finish(run, timeout=60)
        assert (row["status"], row["attempt"]) == ("success", 1)
        assert site.executed(run) == GATED
        assert len(site.database.rows("SELECT id FROM runs_worker")) == 2, "nobody began anew"
        proxy.heal()
        stop(serving, slow, other)
    sound(site)


@contextmanager
def read_only(site: Site) -> Iterator[None]:
    """Let the database refuse to write, as one that has just failed over, or is almost full."""
    base, _, name = postgres(site).url.rpartition("/")
    server = Postgres(f"{base}/postgres")
    server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        end_backends(site)
        yield
    finally:
        server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_a_database_that_is_read_only_for_a_while_is_waited_for(site: Site) -> None:
    serving, worker = site.start(*SERVE, port=free_port(), run_settings=LONG), site.worker(run_settings=LONG)
    runs = [site.create("steps", {"delay": 0.2}, process=serving) for _ in range(6)]
    gated = site.create("gated", process=serving)
    readers = [Reader(site, run, process=serving) for run in runs[:2]]
    for run in runs:
        site.executing(run, "s2")
    with read_only(site), httpx.Client(trust_env=False, timeout=30) as client:
        eventually(lambda: "read-only" in site.output)
        url = f"{serving.url}/threads/{gated['thread_id']}"
        answer = client.post(f"{url}/runs", json={"assistant_id": "steps", "input": {"log": []}})
        assert answer.status_code == 503, answer.text
        assert client.get(url).json()["status"] == "busy"
        assert client.get(f"{serving.url}/ok?check_db=true").status_code == 200
        site.open_gate()
    for run in (*runs, gated):
        row = site.finish(run)
        assert row["status"] == "success"
        assert max(site.executions(run).values()) <= 1 + row["lost_attempts"]
    for run, reader in zip(runs, readers, strict=False):
        read_everything(site, run, reader.finish())
    for _ in range(15):  # each connection of the pool has its turn
        later = site.create("steps", process=serving)
    assert site.finish(later)["status"] == "success"
    stop(serving, worker)
    sound(site, allowed="Traceback|" + REFUSED)


def test_a_full_disk_ends_the_runs_that_cannot_be_saved_and_the_server_stays_up(site: Site) -> None:
    site.start()
    run = site.create("steps", {"delay": 0.1})
    waiting = site.create("gated")
    site.executing(waiting, "gate")
    site.executing(run, "s1")
    with raising(site.database, "53100", "checkpoints", "checkpoint_writes", "checkpoint_blobs"):
        row = site.finish(run)
        assert row["status"] == "error"
        assert "StorageFailed" in str(row["error"])
        assert "unavailable for 4 s" in str(row["error"])
        assert site.thread(run)["status"] == "error"
        assert httpx.get(site.process.url + "/ok?check_db=true").status_code == 200
        assert len(site.executed(run)) < len(STEPS), "it was stopped, not executed for nothing"
    site.open_gate()
    assert site.finish(waiting)["status"] == "success"
    again = site.create("steps", thread=run["thread_id"])
    assert site.finish(again)["status"] == "success"
    stop(site.process)
    sound(site)


def test_a_disk_that_is_full_for_a_moment_costs_nothing(site: Site) -> None:
    site.start(run_settings=LONG)
    runs = [site.create("steps", {"delay": 0.1}) for _ in range(5)]
    site.executing(runs[-1], "s1")
    everything = ("checkpoints", "checkpoint_writes", "checkpoint_blobs", "runs_run", "runs_runevent")
    with raising(site.database, "53100", *everything):
        eventually(lambda: injected(site) > 5)
        body = {"assistant_id": "steps", "input": {"log": []}}
        url = f"{site.process.url}/threads/{runs[0]['thread_id']}/runs"
        assert httpx.post(url, json=body).status_code == 503
    for run in runs:
        row = site.finish(run)
        assert (row["status"], row["attempt"]) == ("success", 1)
        assert site.executed(run) == STEPS
        assert len(site.client().runs.list(run["thread_id"])) == 1
    stop(site.process)
    sound(site, allowed=REFUSED)


def test_a_statement_timeout_gives_a_statement_up_and_no_run(site: Site) -> None:
    serving, worker = front(site), site.worker(run_settings=LONG)
    run = site.create("steps", {"delay": 0.1}, process=serving)
    site.executing(run, "s1")
    name = postgres(site).url.rpartition("/")[2]
    site.database.execute(f"ALTER DATABASE {name} SET statement_timeout = '300ms'")
    end_backends(site)
    with locked(site, run["thread_id"]):
        eventually(lambda: "statement timeout" in site.output or "lock timeout" in site.output)
    row = site.finish(run)
    assert (row["status"], row["attempt"]) == ("success", 1)
    assert site.executed(run) == STEPS
    stop(serving, worker)
    sound(site, allowed=REFUSED)


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
    """It settles its run when it freezes: the thread's row is locked, and nobody can take the run over."""
    lease = 3.0
    times = {"LEASE": lease, "HEARTBEAT": 0.5}
    serving = front(site)
    frozen = site.worker(FAILPOINT="frozen", run_settings=times)
    run = site.create("steps", durability="sync", process=serving)
    eventually(lambda: is_frozen(frozen), what="it freezes")
    began = time.monotonic()
    other = site.worker(run_settings=times)
    row = site.finish(run)
    idle_in_transaction = 10.0
    assert time.monotonic() - began < max(lease, idle_in_transaction) + 5
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
