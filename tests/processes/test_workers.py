"""Several processes on one PostgreSQL: a run created anywhere executes anywhere, and is read and cancelled anywhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes.databases import ROOT, Row, environment
from tests.processes.harness import GRAPHS, STEPS, Process, Site, eventually, free_port, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import RawReader, Reader

pytestmark = pytest.mark.postgresql

SERVE_ONLY = ("manage.py", "serve", "--no-execute", "--port", "{port}")
SERVE = ("manage.py", "serve", "--port", "{port}")
GATED = ["before", "gate", "after", "last"]
#: Seconds from a process's kill to its runs' next attempts in another process (durability §1.3, I12).
ELSEWHERE_WITHIN = 2.0


def front(site: Site, **options: Any) -> Process:
    """A process that serves but executes no runs."""
    return site.start(*SERVE_ONLY, port=free_port(), **options)


def stop(*processes: Process) -> None:
    for process in processes:
        assert process.stop() == 0, process.tail


def owner(site: Site, run: Row, *processes: Process) -> Process:
    """The process that executes a run."""
    workers = {row["id"]: row["pid"] for row in site.database.rows("SELECT id, pid FROM runs_worker")}
    pid = workers[site.row(run)["worker_id"]]
    return next(process for process in processes if process.pid == pid)


def test_a_client_creates_on_one_process_streams_from_a_second_and_cancels_through_a_third(
    site: Site,
) -> None:
    first, second, third = front(site), front(site), front(site)
    worker = site.worker()
    run = site.create("gated", process=first)
    reader = RawReader(site, run, process=second)
    site.executing(run, "gate")
    eventually(lambda: "updates" in reader.names, what="the second process streams")
    began = time.monotonic()
    site.client(third).runs.cancel(run["thread_id"], run["run_id"], wait=True)
    assert time.monotonic() - began < within(2)
    reader.join(20)
    assert reader.end == "ended"
    assert site.row(run)["status"] == "interrupted"
    done = site.create("steps", process=third)
    assert site.client(first).runs.join(done["thread_id"], done["run_id"])["log"] == STEPS
    read_everything(site, done, Reader(site, done, process=second).finish())
    stop(first, second, third, worker)
    sound(site)


def test_a_worker_that_a_command_drains_hands_over_its_runs_and_exits(site: Site, cache: Path) -> None:
    serving = front(site)
    worker = site.worker()
    run = site.create("gated", process=serving)
    site.executing(run, "gate")
    other = site.worker()
    name = f"{socket.gethostname()}:{worker.pid}"
    drain = subprocess.Popen(
        [sys.executable, "manage.py", "agents", "workers", "drain", name, "--wait", "--json"],
        cwd=ROOT,
        env=environment(cache, DATA_DIR=str(site.folder), **site.database.settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    eventually(
        lambda: httpx.get(worker.url + "/ok").status_code == 503, timeout=100, what="the worker drains"
    )
    site.open_gate()
    out, _ = drain.communicate(timeout=60)
    assert (drain.returncode, json.loads(out)["drained"]) == (0, True)
    assert worker.wait() == 0
    done = site.finish(run)
    assert (done["status"], done["attempt"], done["lost_attempts"]) == ("success", 2, 0)
    assert site.executed(run) == GATED
    stop(serving, other)
    sound(site)


def test_a_worker_tells_how_it_is_and_drains_for_the_others(site: Site) -> None:
    serving = front(site)
    worker = site.worker("--concurrency", "7")
    health = httpx.get(worker.url + "/ok").json()
    assert (health["ok"], health["running"], health["concurrency"]) == (True, 0, 7)
    run = site.create("gated", process=serving)
    site.executing(run, "gate")
    assert httpx.get(worker.url + "/ok").json()["running"] == 1
    assert httpx.get(worker.url + "/elsewhere").status_code == 404
    assert httpx.post(worker.url + "/ok").status_code == 405
    other = site.worker()
    worker.send()
    eventually(lambda: httpx.get(worker.url + "/ok").status_code == 503, what="it is not ready any more")
    site.open_gate()
    assert worker.wait() == 0
    gone = time.time()
    assert site.finish(run)["status"] == "success"
    assert site.executed(run) == GATED
    assert site.row(run)["lost_attempts"] == 0
    assert site.attempts(run)[2] - gone < within(1)
    stop(other, serving)
    sound(site)


def test_a_worker_ends_by_itself_after_so_many_runs_and_leaves_the_rest(site: Site) -> None:
    serving = front(site)
    runs = [site.create("steps", process=serving) for _ in range(5)]
    assert site.worker("--max-runs", "3").wait() == 0
    statuses = [site.row(run)["status"] for run in runs]
    assert statuses == ["success"] * 3 + ["pending"] * 2
    worker = site.worker()
    for run in runs:
        assert site.finish(run)["status"] == "success"
        assert site.executed(run) == STEPS
    stop(worker, serving)
    sound(site)


def test_a_queue_is_executed_by_the_workers_that_serve_it(site: Site) -> None:
    graphs = {**GRAPHS, "steps": {"path": GRAPHS["steps"], "queue": "slow", "priority": 3}}
    (site.folder / "langgraph.json").write_text(json.dumps({"graphs": graphs}))
    serving = site.start(*SERVE, "--queues", "default", port=free_port())
    slow, quick = site.create("steps", process=serving), site.create("parallel", process=serving)
    assert site.finish(quick)["status"] == "success"
    row = site.row(slow)
    assert (row["status"], row["queue"], row["priority"]) == ("pending", "slow", 3)
    worker = site.worker("--queues", "slow,other")
    assert "No graph is registered for the queue 'other'" in worker.output
    assert site.finish(slow)["status"] == "success"
    stop(serving, worker)
    sound(site)


def test_limits_hold_over_all_processes(site: Site) -> None:
    limits = {"USER_CONCURRENCY": 2}
    serving = site.start(*SERVE, port=free_port(), run_settings=limits)
    workers = [site.worker(run_settings=limits) for _ in range(2)]
    runs = [site.create("gated", process=serving) for _ in range(9)]
    running = "SELECT id FROM runs_run WHERE status = 'running'"
    eventually(lambda: len(site.database.rows(running)) == 2, what="two execute")
    site.open_gate()
    rows = [site.finish(run) for run in runs]
    assert {row["status"] for row in rows} == {"success"}
    for each in rows:
        began = each["started_at"]
        assert sum(row["started_at"] <= began < row["finished_at"] for row in rows) <= 2
    stop(serving, *workers)
    sound(site)


def test_a_killed_workers_runs_go_on_elsewhere_at_once(site: Site) -> None:
    serving, doomed = front(site), site.worker(run_settings={"LEASE": 60.0})
    runs = [site.create("steps", {"delay": 0.3}, durability="sync", process=serving) for _ in range(4)]
    reader = Reader(site, runs[0], process=serving)
    for run in runs:
        site.executing(run, "s1")
    doomed.pause()  # so that the runs do not end while the other one starts
    other = site.worker()
    doomed.kill()
    killed = time.time()
    for run in runs:
        assert site.finish(run)["status"] == "success"
        assert site.attempts(run)[2] - killed < within(ELSEWHERE_WITHIN)
        assert max(site.executions(run).values()) <= 2
        assert site.values(run)["log"] == STEPS
        assert site.row(run)["lost_attempts"] == 1
    read_everything(site, runs[0], reader.finish())
    stop(serving, other)
    sound(site)


def test_a_frozen_process_loses_its_runs_changes_nothing_when_it_wakes_and_goes_on(site: Site) -> None:
    lease = 3.0
    times = {"LEASE": lease, "HEARTBEAT": 0.5}
    serving = front(site)
    frozen = site.worker(run_settings=times)
    runs = [
        site.create("steps", {"delay": 0.3}, durability=durability, process=serving)
        for durability in ("sync", "async", "exit")
    ]
    readers = [Reader(site, run, process=serving) for run in runs]
    for run in runs:
        site.executing(run, "s2")
    frozen.pause()
    stopped = time.time()
    other = site.worker(run_settings=times)
    for run in runs:
        assert site.finish(run)["status"] == "success"
        assert site.attempts(run)[2] < max(stopped + lease, other.ready_at) + within(5)
    before = [site.row(run) for run in runs], site.database.checkpoints(), [site.events(run) for run in runs]
    threads = [site.thread(run) for run in runs]
    frozen.resume()
    eventually(lambda: "lost its lease" in frozen.output)
    eventually(lambda: "Going on as worker" in frozen.output)
    assert httpx.get(frozen.url + "/ok").status_code == 200
    assert httpx.get(frozen.url + "/ok").json()["running"] == 0
    assert before == (
        [site.row(run) for run in runs],
        site.database.checkpoints(),
        [site.events(run) for run in runs],
    )
    assert threads == [site.thread(run) for run in runs]
    for run, reader in zip(runs, readers, strict=True):
        assert site.values(run)["log"] == STEPS
        read_everything(site, run, reader.finish())
    stop(other)
    again = site.create("steps", process=serving)
    assert site.finish(again)["status"] == "success"
    stop(frozen, serving)
    sound(site, allowed="lost its lease")


def terminate(site: Site, query: str) -> int:
    """End the backends whose last statement matches this."""
    ended = site.database.rows(
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity WHERE datname = current_database() "
        f"AND pid <> pg_backend_pid() AND query LIKE '{query}'"
    )
    return len(ended)


def test_a_listening_connection_that_is_killed_costs_nothing_and_comes_back(site: Site) -> None:
    serving, worker = front(site), site.worker()
    run = site.create("gated", process=serving)
    reader = RawReader(site, run, process=serving)
    site.executing(run, "gate")
    assert terminate(site, "LISTEN%") == 2
    site.open_gate()
    assert site.finish(run)["status"] == "success"
    reader.join(20)
    assert reader.end == "ended"
    eventually(lambda: httpx.get(worker.url + "/ok").json()["listening"])
    later = site.create("steps", process=serving)
    assert site.finish(later, timeout=within(2))["status"] == "success"
    stop(serving, worker)
    sound(site)


def test_a_worker_whose_lease_connection_is_killed_keeps_its_runs(site: Site) -> None:
    serving, worker, other = front(site), site.worker(), site.worker()
    runs = [site.create("steps", {"delay": 0.25}, process=serving) for _ in range(4)]
    for run in runs:
        site.executing(run, "s1")
    assert terminate(site, "UPDATE runs_worker SET heartbeat_at%") == 2
    for run in runs:
        row = site.finish(run)
        assert (row["status"], row["attempt"]) == ("success", 1)
    stop(serving, worker, other)
    sound(site)


def test_a_crowd_that_starts_on_an_empty_migrated_database_comes_up(site: Site) -> None:
    crowd = site.several(3, *SERVE)
    workers = [site.worker() for _ in range(1)]
    runs = [site.create("steps", process=process) for process in crowd for _ in range(3)]
    for run in runs:
        assert site.finish(run)["status"] == "success"
        assert site.executed(run) == STEPS
    stop(*crowd, *workers)
    sound(site)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--concurrency", "0"), "not a positive number"),
        (("--queues", "a,,b"), "no list of queues"),
        (("--drain-seconds", "-1"), "not a number of seconds"),
        (("--health-port", "99999"), "not a port number"),
        (("--max-runs", "many"), "not a positive number"),
    ],
)
def test_a_wrong_argument_is_named(
    tmp_path: Path, cache: Path, arguments: tuple[str, str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "run_worker", *arguments],
        cwd=ROOT,
        env=environment(cache, DATA_DIR=str(tmp_path), DATABASE_URL=os.environ["DATABASE_URL"]),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
