"""Wrong or changed wall clocks do not affect order, due times, leases and states."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.processes.databases import Sqlite
from tests.processes.faults import front, stop
from tests.processes.harness import STEPS, Site, moment
from tests.processes.invariants import read_everything, sound
from tests.processes.readers import Reader

MINUTES = 600


def clock(site: Site, name: str, seconds: float) -> dict[str, str]:
    """The setting of a process whose clock is ahead by this many seconds.

    Rewriting the file sets the clock.
    """
    file = site.folder / f"clock-{name}"
    set_clock(file, seconds)
    return {"CLOCK_FILE": str(file)}


def set_clock(file: Path, seconds: float) -> None:
    new = file.with_suffix(".new")
    new.write_text(str(seconds))
    new.replace(file)


@pytest.mark.postgresql
def test_clocks_that_are_ten_minutes_apart_change_no_order_no_due_time_and_no_lease(site: Site) -> None:
    ahead, behind = clock(site, "ahead", MINUTES), clock(site, "behind", -MINUTES)
    servers = [front(site, **ahead), front(site, **behind)]
    executing = [site.worker(**ahead), site.worker(**behind)]
    first, _ = servers
    later = [site.create("steps", after_seconds=2, process=server) for server in servers]
    queue = [site.create("sleeping", {"delay": 0.2}, process=first)]
    for number in range(5):
        server = servers[number % 2]
        queue.append(site.create("steps", thread=queue[0]["thread_id"], process=server))
    for run in (*queue, *later):
        row = site.finish(run)
        assert (row["status"], row["attempt"]) == ("success", 1), "no worker treated it as lost"
    assert len(site.database.rows("SELECT id FROM runs_worker")) == 2, "no worker lost its lease"
    began = [moment(site.row(run)["started_at"]) for run in queue]
    assert began == sorted(began), "the thread's runs execute in the order of their creation"
    assert site.values(queue[0])["log"] == ["sleep", *STEPS * 5]
    for run in later:
        row = site.row(run)
        waited = moment(row["started_at"]) - moment(row["created_at"])
        assert 2 <= waited < 8
        assert abs(moment(row["created_at"]) - time.time()) < 120, "rows have the database's time"
    stop(*servers, *executing)
    sound(site)


def test_a_thread_goes_on_from_its_last_state_under_a_clock_that_is_behind(site: Site) -> None:
    """Checkpoint ids contain the time, and the newest one is the state."""
    site.start(**clock(site, "ahead", MINUTES))
    first = site.create("steps")
    assert site.finish(first)["status"] == "success"
    assert site.process.stop() == 0
    site.start(**clock(site, "behind", -MINUTES))
    second = site.create("parallel", thread=first["thread_id"])
    assert site.finish(second)["status"] == "success"
    expected = [*STEPS, "a", "b1", "b2", "c"]
    assert site.values(second)["log"] == expected
    assert site.client().threads.get_state(first["thread_id"])["values"]["log"] == expected
    assert site.process.stop() == 0
    sound(site)


def test_a_run_that_is_resumed_under_a_clock_that_is_behind_goes_on_where_it_was(site: Site) -> None:
    site.start(**clock(site, "ahead", MINUTES))
    run = site.create("steps", {"delay": 0.2}, durability="sync")
    reader = Reader(site, run)
    site.executing(run, "s4")
    site.process.kill()
    site.start(**clock(site, "behind", -MINUTES))
    assert site.finish(run)["status"] == "success"
    assert site.values(run)["log"] == STEPS
    assert site.executions(run) == {step: 1 + (step == "s4") for step in STEPS}
    assert site.client().threads.get_state(run["thread_id"])["values"]["log"] == STEPS
    read_everything(site, run, reader.finish())
    assert site.process.stop() == 0
    sound(site, clock_set_back=isinstance(site.database, Sqlite))


def test_a_clock_that_is_set_back_in_the_middle_of_a_run_changes_nothing(site: Site) -> None:
    site.start(**clock(site, "own", 0))
    run = site.create("steps", {"delay": 0.2})
    later = site.create("steps", after_seconds=3)
    site.executing(run, "s3")
    set_clock(site.folder / "clock-own", -MINUTES)
    for each in (run, later):
        assert site.finish(each)["status"] == "success"
        assert site.executed(each) == STEPS
    assert site.client().threads.get_state(run["thread_id"])["values"]["log"] == STEPS
    assert site.process.stop() == 0
    sound(site)
