"""Nodes that do not yield: they block the event loop, or a thread that cannot be stopped."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from runs.process.watchdog import EXIT_CODE
from tests.processes.faults import GATED, front, left, stop
from tests.processes.harness import STEPS, Site, eventually, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import Reader

#: Settings of servers whose watchdog ends them soon.
TIMES_TO_EXIT = {"LEASE": 3.0, "HEARTBEAT": 0.5, "LOOP_ALARM": 0.5}


@pytest.mark.postgresql
def test_a_worker_whose_loop_is_blocked_for_longer_than_its_lease_loses_its_runs_and_changes_nothing(
    site: Site,
) -> None:
    times = {"LEASE": 4.0, "HEARTBEAT": 0.5, "LOOP_ALARM": 1.0}
    serving = front(site)
    blocked = site.worker(run_settings=times, BLOCK_SECONDS="9")
    blocking = site.create("blocking", durability="sync", process=serving)
    beside = site.create("steps", {"delay": 0.3}, durability="sync", process=serving)
    reader = Reader(site, blocking, process=serving)
    site.executing(blocking, "block")
    other = site.worker(run_settings=times)
    since = time.time()
    for run in (blocking, beside):
        row = site.finish(run)
        assert (row["status"], row["attempt"], row["lost_attempts"]) == ("success", 2, 1)
        assert site.attempts(run)[2] < since + 4 + within(5)
    before = left(site, blocking, beside)
    assert "The event loop has been blocked for 1 s" in blocked.output
    assert "time.sleep" in blocked.output
    eventually(lambda: "Going on as worker" in blocked.output)
    eventually(lambda: httpx.get(blocked.url + "/ok").json()["running"] == 0)
    assert left(site, blocking, beside) == before
    assert site.values(blocking)["log"] == ["before", "block", "after"]
    assert site.executions(blocking) == {"before": 1, "block": 2, "after": 1}
    read_everything(site, blocking, reader.finish())
    stop(other)
    assert site.finish(site.create("steps", process=serving))["status"] == "success"
    stop(serving, blocked)
    sound(site, allowed="lost its lease|The event loop has been blocked|was abandoned")


def test_a_run_that_blocks_three_processes_in_a_row_ends_in_an_error_and_costs_the_others_no_attempt(
    site: Site,
) -> None:
    """Like under a supervisor: the watchdog ends each process, and the next one is started."""
    options: Any = {"run_settings": TIMES_TO_EXIT, "DEBUG": "0", "BLOCK_SECONDS": "600"}
    site.start(**options)
    beside = site.create("gated", durability="sync")
    site.executing(beside, "gate")
    run = site.create("blocking", durability="sync")
    assert site.process.wait() == EXIT_CODE, site.process.tail
    for _ in range(2):
        assert site.spawn(**options).wait(60) == EXIT_CODE, site.process.tail
    site.start(**options)
    row = site.finish(run)
    assert (row["status"], row["attempt"], row["lost_attempts"]) == ("error", 3, 3)
    assert site.thread(run)["status"] == "error"
    assert site.executions(run) == {"before": 1, "block": 3}
    site.open_gate()
    row = site.finish(beside)
    assert (row["status"], row["lost_attempts"]) == ("success", 0)
    assert site.values(beside)["log"] == GATED
    assert "blocks the event loop; 1 other runs of this process were handed back" in site.output
    assert site.process.stop() == 0
    sound(site, allowed="The event loop has been blocked|blocks the event loop")


def test_a_synchronous_node_that_goes_on_after_its_cancellation_changes_nothing(site: Site) -> None:
    """A thread cannot be stopped: its result arrives late and is refused."""
    site.start()
    run = site.create("synchronous", {"delay": 3.0}, durability="sync")
    site.executing(run, "work")
    began = time.monotonic()
    site.client().runs.cancel(run["thread_id"], run["run_id"], wait=True)
    assert time.monotonic() - began < within(2)
    again = site.create("steps", {"delay": 0.0}, thread=run["thread_id"])
    assert site.finish(again)["status"] == "success"
    assert site.executions(run)["late"] == 0, "it still works, and nothing waits for it"
    before = left(site, run, again)
    site.executing(run, "late")
    assert site.process.stop() == 0
    assert left(site, run, again) == before
    assert site.values(run)["log"] == ["before", *STEPS]
    sound(site)
