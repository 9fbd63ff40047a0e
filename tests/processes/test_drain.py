"""SIGTERM: runs stop at a safe point and resume, and readers miss and repeat nothing."""

from __future__ import annotations

import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from tests.processes.harness import STEPS, Site, eventually, within
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import RawReader, Reader

TERM, INT = signal.SIGTERM, signal.SIGINT
GATED = ["before", "gate", "after", "last"]


def test_a_run_stopped_in_a_node_goes_on_after_it_and_its_reader_misses_nothing(site: Site) -> None:
    site.start()
    run = site.create("gated")
    reader, raw = Reader(site, run), RawReader(site, run)
    site.executing(run, "gate")
    eventually(lambda: "updates" in raw.names)
    site.process.send()
    beats = raw.heartbeats
    eventually(lambda: raw.heartbeats >= beats + 2, what="the stream goes on during the drain")
    seen = len(raw.ids)
    site.open_gate()
    assert site.process.wait() == 0
    raw.join(20)
    assert raw.end
    assert len(raw.ids) > seen, "the events of the node that ended during the drain"
    drained = site.row(run)
    assert (drained["status"], drained["attempt"], drained["lost_attempts"]) == ("pending", 1, 0)
    assert site.executed(run) == ["before", "gate"]
    sound(site, waiting=1)

    site.start()
    assert site.finish(run)["status"] == "success"
    read_everything(site, run, reader.finish())
    assert site.process.stop() == 0
    done = site.row(run)
    assert (done["attempt"], done["lost_attempts"]) == (2, 0)
    assert site.executed(run) == GATED
    assert site.values(run)["log"] == GATED
    sound(site)


def test_a_stream_that_the_shutdown_ends_before_its_run_is_cut_off_and_not_completed(site: Site) -> None:
    """Clients treat a completed response as the end of the run, and would miss later events."""
    site.start()
    run = site.create("gated")
    raw = RawReader(site, run)
    site.executing(run, "gate")
    site.process.send()
    site.open_gate()
    assert site.process.wait() == 0
    raw.join(20)
    assert site.row(run)["status"] == "pending"
    assert raw.end.startswith("cut")


def test_a_client_that_waits_for_a_result_gets_it_from_the_next_server(site: Site) -> None:
    site.start()
    thread_id = site.client().threads.create()["thread_id"]
    created: list[Any] = []
    wait = partial(site.client().runs.wait, thread_id, "gated", on_run_created=created.append)
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client warns that it reconnects
        result = pool.submit(wait, input={"log": []})
        run = eventually(lambda: created and created[0])
        site.executing(run, "gate")
        site.process.send()
        eventually(lambda: "Draining 1 runs" in site.output)
        site.open_gate()
        assert site.process.wait() == 0
        site.start()
        assert result.result(30) == {"log": GATED}
    assert site.process.stop() == 0
    sound(site)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_runs_stopped_anywhere_repeat_no_step(site: Site, durability: str) -> None:
    site.start()
    runs = [site.create("steps", {"delay": 0.02 * number}, durability=durability) for number in range(2, 10)]
    site.executing(runs[3], "s3")
    assert site.process.stop() == 0
    waiting = [run for run in runs if site.row(run)["status"] == "pending"]
    assert len(waiting) > 3
    sound(site, waiting=len(waiting))
    site.start()
    for run in runs:
        done = site.finish(run)
        assert (done["status"], done["lost_attempts"]) == ("success", 0)
        assert site.executed(run) == STEPS
        assert site.values(run)["log"] == STEPS
    assert site.process.stop() == 0
    sound(site)


@pytest.mark.parametrize(
    "signals",
    [(TERM, TERM), (TERM, TERM, TERM), (TERM, INT), (INT, INT, TERM, TERM)],
    ids=lambda signals: "+".join(number.name for number in signals),
)
def test_further_signals_do_not_abandon_the_drain(site: Site, signals: tuple[signal.Signals, ...]) -> None:
    site.start()
    runs = [site.create("gated"), site.create("gated")]
    reader = RawReader(site, runs[0])
    for run in runs:
        site.executing(run, "gate")
    for number in signals:
        site.process.send(number)
        beats = reader.heartbeats
        eventually(
            lambda beats=beats: reader.heartbeats > beats, what="it serves its readers between the signals"
        )
    site.open_gate()
    assert site.process.wait() == 0
    reader.join(20)
    assert reader.end
    for run in runs:
        row = site.row(run)
        assert (row["status"], row["lost_attempts"]) == ("pending", 0)
        assert site.executed(run) == ["before", "gate"]
    assert "already draining" in site.output
    sound(site, waiting=2)


def test_a_run_that_ends_during_the_drain_is_a_success(site: Site) -> None:
    site.start()
    run = site.create("gated_end")
    reader, raw = Reader(site, run), RawReader(site, run)
    site.executing(run, "gate")
    site.process.send()
    eventually(lambda: "Draining 1 runs" in site.output)
    site.open_gate()
    assert site.process.wait() == 0
    raw.join(20)
    assert raw.end == "ended"
    assert site.row(run)["status"] == "success"
    assert site.thread(run)["status"] == "idle"
    assert site.values(run)["log"] == ["before", "gate"]
    read_everything(site, run, raw.ids)
    sound(site)
    site.start()
    assert reader.finish() == raw.ids


def test_a_drain_ends_within_its_time_whatever_a_node_does(site: Site) -> None:
    drain = 3.0
    site.start(DRAIN_SECONDS=str(drain))
    stubborn = site.create("stubborn", {"delay": 60.0})
    long = site.create("sleeping", {"delay": 60.0})
    reader = RawReader(site, long)
    site.executing(stubborn, "stay")
    site.executing(long, "sleep")
    began = time.monotonic()
    site.process.send()
    assert site.process.wait() == 0
    assert drain * 0.5 < time.monotonic() - began < drain + within(2)
    reader.join(20)
    assert reader.end
    for run in (stubborn, long):
        row = site.row(run)
        assert (row["status"], row["attempt"], row["lost_attempts"]) == ("pending", 1, 0)
    sound(site, waiting=2, allowed=f"Run {stubborn['run_id']} ignored its cancellation")


def test_a_shutdown_may_interrupt_runs_instead(site: Site) -> None:
    site.start(ON_SHUTDOWN="interrupt")
    run = site.create("gated")
    reader = Reader(site, run)
    site.executing(run, "gate")
    site.process.send()
    site.open_gate()
    assert site.process.wait() == 0
    assert site.row(run)["status"] == "interrupted"
    assert site.thread(run)["status"] == "interrupted"
    sound(site)
    site.start()
    read_everything(site, run, reader.finish())
    assert site.process.stop() == 0
    assert site.executed(run) == ["before", "gate"]
    sound(site)


def test_an_idle_server_ends_at_once(site: Site) -> None:
    site.start()
    thread = site.client().threads.create()["thread_id"]
    assert site.client().runs.wait(thread, "sleeping", input={"log": []})["log"] == ["sleep"]
    began = time.monotonic()
    assert site.process.stop() == 0
    assert time.monotonic() - began < within(3)
    assert [
        worker["stopped_at"] is not None for worker in site.database.rows("SELECT * FROM runs_worker")
    ] == [True]
    sound(site)
