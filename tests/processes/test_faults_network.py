"""A cut or silent network between a worker and its database: no step runs twice."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.processes.faults import front, left, proxied, stop
from tests.processes.harness import STEPS, WORKER, Site, eventually, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import Reader

pytestmark = pytest.mark.postgresql

LEASE = 3.0
TIMES = {"LEASE": LEASE, "HEARTBEAT": 0.5}
#: Allowed log messages of a worker that cannot reach its database.
CUT_OFF = "lost its lease|could not be|was abandoned"


@pytest.mark.parametrize("reset", [False, True], ids=["what-waited-arrives", "connections-are-forgotten"])
def test_a_worker_that_is_cut_off_for_longer_than_its_lease_changes_nothing_when_the_network_heals(
    site: Site, reset: bool
) -> None:
    with proxied(site) as (proxy, url):
        serving = front(site)
        cut_off = site.worker(DATABASE_URL=url, run_settings=TIMES)
        runs = [
            site.create("steps", {"delay": 0.6}, durability=durability, process=serving)
            for durability in ("sync", "async", "exit")
        ]
        readers = [Reader(site, run, process=serving) for run in runs]
        for run in runs:
            site.executing(run, "s0")
        proxy.silence()
        since = time.time()
        other = site.worker(run_settings=TIMES)
        for run in runs:
            row = site.finish(run)
            assert (row["status"], row["attempt"], row["lost_attempts"]) == ("success", 2, 1)
            assert site.values(run)["log"] == STEPS
            assert site.attempts(run)[2] < max(since + LEASE, other.ready_at) + within(5)
        eventually(lambda: "lost its lease" in cut_off.output, what="it stops its runs by itself")
        assert httpx.get(cut_off.url + "/ok").status_code == 503
        before = left(site, *runs)
        proxy.heal(reset=reset)
        eventually(lambda: "Going on as worker" in cut_off.output)
        eventually(lambda: _idle(cut_off.url))
        assert left(site, *runs) == before
        for run, reader in zip(runs, readers, strict=True):
            read_everything(site, run, reader.finish())
        stop(other)
        again = site.create("steps", process=serving)
        assert site.finish(again)["status"] == "success"
        stop(serving, cut_off)
    sound(site, allowed=CUT_OFF)


def _idle(url: str) -> bool:
    health = httpx.get(url + "/ok").json()
    return bool(health["ok"]) and health["running"] == 0


def test_connections_that_are_reset_again_and_again_cost_no_attempt(site: Site) -> None:
    with proxied(site) as (proxy, url):
        serving, worker, other = front(site), site.worker(DATABASE_URL=url), site.worker(DATABASE_URL=url)
        runs = [site.create("steps", {"delay": 0.15}, process=serving) for _ in range(20)]
        for step in ("s1", "s4", "s7"):
            site.executing(runs[-1], step)
            assert proxy.cut() > 0
        for run in runs:
            assert site.finish(run)["status"] == "success"
            assert site.values(run)["log"] == STEPS
            assert max(site.executions(run).values()) <= 1 + site.row(run)["lost_attempts"]
        stop(serving, worker, other)
    sound(site, allowed=CUT_OFF)


def test_a_server_without_its_database_says_so_and_comes_back(site: Site) -> None:
    with proxied(site) as (proxy, url):
        server = site.start(DATABASE_URL=url, run_settings={"LEASE": 30.0, "HEARTBEAT": 2.0})
        run = site.create("gated")
        site.executing(run, "gate")
        proxy.refuse()
        proxy.cut()
        with httpx.Client(trust_env=False, timeout=30) as client:
            assert client.get(server.url + "/ok").status_code == 200
            assert client.get(server.url + "/ok?check_db=true").status_code == 503
            body = {"assistant_id": "steps", "input": {"log": []}}
            began = time.monotonic()
            assert client.post(server.url + "/runs", json=body).status_code == 503
            assert time.monotonic() - began < within(13)
        proxy.heal()
        site.open_gate()
        row = site.finish(run)
        assert row["status"] == "success"
        assert max(site.executions(run).values()) <= row["attempt"] <= 2
        assert site.finish(site.create("steps"))["status"] == "success"
        stop(server)
    sound(site, allowed=CUT_OFF + "|failed: |Service Unavailable")


def test_a_process_that_starts_before_its_database_can_be_reached_waits_for_it(site: Site) -> None:
    with proxied(site) as (proxy, url):
        proxy.silence()
        worker = site.spawn(*WORKER, DATABASE_URL=url, run_settings=TIMES)
        eventually(lambda: "cannot be reached yet" in worker.output, what="it says what it waits for")
        proxy.heal(reset=True)
        run = site.create("steps", process=front(site))
        assert site.finish(run)["status"] == "success"
        assert worker.alive
        stop(worker)
    sound(site, allowed="cannot be reached yet")
