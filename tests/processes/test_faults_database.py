"""Faults of the database's connections, speed, space or writes lose and double no run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.processes.databases import Postgres
from tests.processes.faults import (
    GATED,
    LONG,
    REFUSED,
    SERVE,
    end_backends,
    finished,
    front,
    injected,
    locked,
    postgres,
    proxied,
    raising,
    stop,
)
from tests.processes.harness import STEPS, Site, eventually, free_port
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import Reader

pytestmark = pytest.mark.postgresql


def test_a_storm_that_ends_every_connection_loses_and_doubles_nothing(site: Site) -> None:
    serving, *executing = front(site), site.worker(), site.worker()
    site.client(serving)  # shared by the threads
    with ThreadPoolExecutor(8) as pool:
        delays = [0.05 + 0.01 * (number % 20) for number in range(120)]
        runs = list(pool.map(lambda delay: site.create("steps", {"delay": delay}, process=serving), delays))
    readers = [Reader(site, run, process=serving) for run in runs[:4]]
    for milestone in (1, 15, 40, 80, 110):
        eventually(lambda least=milestone: finished(site) >= least, timeout=60, what=f"{milestone} runs end")
        assert end_backends(site) > 0
    for run in runs:
        row = site.finish(run, timeout=60)
        assert row["status"] == "success", (row["lost_attempts"], row["error"])
        assert site.values(run)["log"] == STEPS
        began = site.executions(run)
        assert max(began.values()) <= 1 + row["lost_attempts"]
        assert sum(began.values()) <= len(STEPS) + 2 * row["lost_attempts"]
    for run, reader in zip(runs, readers, strict=False):
        read_everything(site, run, reader.finish())
    stop(serving, *executing)
    sound(
        site,
        allowed=r"could not be| ERROR runs\.api\.responses\.errors: | ERROR django\.request: Service Unavailable",
    )


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
        assert len(site.database.rows("SELECT id FROM runs_worker")) == 2, "no worker was replaced"
        proxy.heal()
        stop(serving, slow, other)
    sound(site)


@contextmanager
def read_only(site: Site) -> Iterator[None]:
    """Make the database read-only, as after a failover or when it is almost full."""
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
    for _ in range(15):  # each connection of the pool is used
        later = site.create("steps", process=serving)
    assert site.finish(later)["status"] == "success"
    stop(serving, worker)
    sound(site, allowed="Traceback|" + REFUSED)


def test_a_full_disk_ends_the_runs_that_cannot_be_saved_and_the_server_stays_up(site: Site) -> None:
    site.start(run_settings={"LEASE": 3.0, "HEARTBEAT": 0.5})
    run = site.create("steps", {"delay": 0.1})
    waiting = site.create("gated")
    site.executing(waiting, "gate")
    site.executing(run, "s1")
    with raising(site.database, "53100", "checkpoints", "checkpoint_writes", "checkpoint_blobs"):
        row = site.finish(run, timeout=60)
        assert row["status"] == "error"
        assert row["attempt"] == 3, "each attempt waits for two thirds of the lease"
        assert "The checkpoint storage was unavailable for 2 s" in str(row["error"])
        assert site.thread(run)["status"] == "error"
        assert httpx.get(site.process.url + "/ok?check_db=true").status_code == 200
        assert site.executions(run)["s9"] == 0, "it was stopped instead of executed without effect"
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
