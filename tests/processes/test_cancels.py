"""Cancels and multitask strategies over HTTP."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError

from tests.processes.databases import Row
from tests.processes.harness import STEPS, Site, eventually, within
from tests.processes.readers import RawReader

#: The time until a cancelled run is final, in seconds (durability §1.3, I13, with a margin for a loaded
#: machine).
CANCELLED_WITHIN = 3.0


def is_gone(site: Site, run: Row) -> bool:
    try:
        site.client().runs.get(run["thread_id"], run["run_id"])
    except NotFoundError:
        return True
    return False


def status(site: Site, run: Row) -> Any:
    return site.client().runs.get(run["thread_id"], run["run_id"])["status"]


def thread_status(site: Site, run: Row) -> Any:
    return site.client().threads.get(run["thread_id"])["status"]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("action", ["interrupt", "rollback"])
def test_a_running_run_is_cancelled(shared: Site, action: Any, wait: bool) -> None:
    earlier = shared.create("steps")
    shared.finish(earlier)
    run = shared.create("gated", thread=earlier["thread_id"], durability="sync")
    reader = RawReader(shared, run)
    shared.executing(run, "gate")
    began = time.monotonic()
    shared.client().runs.cancel(run["thread_id"], run["run_id"], wait=wait, action=action)
    if not wait:
        eventually(lambda: thread_status(shared, run) != "busy")
    assert time.monotonic() - began < within(CANCELLED_WITHIN)
    reader.join(20)
    assert reader.end == "ended"
    state = shared.client().threads.get_state(run["thread_id"])
    if action == "rollback":
        assert is_gone(shared, run)
        assert thread_status(shared, run) == "idle"
        assert state["values"]["log"] == STEPS
        assert not state["next"]
    else:
        assert status(shared, run) == "interrupted"
        assert thread_status(shared, run) == "interrupted"
        assert state["values"]["log"] == [*STEPS, "before"]
    again = shared.create("steps", thread=run["thread_id"])
    assert shared.finish(again)["status"] == "success"
    assert shared.executed(run) == ["before", "gate"]


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
def test_a_waiting_run_is_cancelled_at_once_and_never_executed(shared: Site, action: Any) -> None:
    first = shared.create("sleeping", {"delay": 1.0})
    second = shared.create("steps", thread=first["thread_id"])
    reader = RawReader(shared, second)
    shared.client().runs.cancel(second["thread_id"], second["run_id"], wait=True, action=action)
    assert status(shared, first) == "running"
    assert is_gone(shared, second) if action == "rollback" else status(shared, second) == "interrupted"
    assert thread_status(shared, first) == "busy"
    reader.join(20)
    assert reader.end == "ended"
    assert reader.names == []
    assert shared.finish(first)["status"] == "success"
    assert thread_status(shared, first) == "idle"
    assert shared.executed(second) == []


def test_cancelling_what_is_finished_or_unknown_is_an_error_and_changes_nothing(shared: Site) -> None:
    run = shared.create("steps")
    before = shared.finish(run)
    for run_id in (run["run_id"], str(uuid4())):
        for action in ("interrupt", "rollback"):
            with pytest.raises(NotFoundError):
                shared.client().runs.cancel(run["thread_id"], run_id, action=action)
    assert shared.row(run) == before


def test_a_question_that_a_rolled_back_answer_had_consumed_is_asked_again(shared: Site) -> None:
    asking = shared.create("asking", {"delay": 0.0})
    shared.finish(asking)
    before = shared.client().threads.get(asking["thread_id"])
    state = shared.client().threads.get_state(asking["thread_id"])
    assert before["status"] == "interrupted"
    answer = {"resume": "no", "update": {"delay": 60.0}}
    run = shared.create("asking", thread=asking["thread_id"], command=answer)
    shared.executing(run, "work")
    shared.client().runs.cancel(run["thread_id"], run["run_id"], wait=True, action="rollback")
    after = shared.client().threads.get(asking["thread_id"])
    for field in ("status", "values", "interrupts"):
        assert after[field] == before[field]
    restored = shared.client().threads.get_state(asking["thread_id"])
    for field in ("values", "next", "tasks", "checkpoint"):
        assert restored[field] == state[field]
    again = shared.create("asking", thread=asking["thread_id"], command={"resume": "yes"})
    assert shared.finish(again)["status"] == "success"
    assert shared.values(again)["log"] == ["answer=yes", "work"]


# A second run on a busy thread


def test_enqueued_runs_follow_each_other_in_order(shared: Site) -> None:
    first = shared.create("sleeping", {"delay": 0.5})
    thread = first["thread_id"]
    others = [
        shared.create(name, thread=thread, multitask_strategy="enqueue") for name in ("steps", "sleeping")
    ]
    assert [status(shared, run) for run in others] == ["pending", "pending"]
    for run in (first, *others):
        assert shared.finish(run)["status"] == "success"
    assert shared.values(first)["log"] == ["sleep", *STEPS, "sleep"]
    assert thread_status(shared, first) == "idle"


def test_a_rejected_run_leaves_no_trace(shared: Site) -> None:
    first = shared.create("sleeping", {"delay": 0.5})
    with pytest.raises(ConflictError, match="already running a task"):
        shared.create("steps", thread=first["thread_id"], multitask_strategy="reject")
    assert len(shared.client().runs.list(first["thread_id"])) == 1
    assert shared.finish(first)["status"] == "success"
    assert shared.values(first)["log"] == ["sleep"]
    accepted = shared.create("steps", thread=first["thread_id"], multitask_strategy="reject")
    assert shared.finish(accepted)["status"] == "success"


def test_an_interrupting_run_takes_the_place_of_those_before_it(shared: Site) -> None:
    first = shared.create("gated")
    queued = shared.create("steps", thread=first["thread_id"])
    shared.executing(first, "gate")
    run = shared.create("steps", thread=first["thread_id"], multitask_strategy="interrupt")
    assert shared.finish(run)["status"] == "success"
    assert [status(shared, each) for each in (first, queued)] == ["interrupted", "interrupted"]
    assert shared.executed(first) == ["before", "gate"]
    assert shared.executed(queued) == []
    assert shared.values(run)["log"] == ["before", *STEPS]
    assert thread_status(shared, run) == "idle"


def test_a_run_that_rolls_the_one_before_it_back_finds_its_question_again(shared: Site) -> None:
    asking = shared.create("asking", {"delay": 0.0})
    shared.finish(asking)
    answer = {"resume": "no", "update": {"delay": 60.0}}
    first = shared.create("asking", thread=asking["thread_id"], command=answer)
    shared.executing(first, "work")
    queued = shared.create("steps", thread=asking["thread_id"])
    run = shared.create(
        "asking", thread=asking["thread_id"], command={"resume": "yes"}, multitask_strategy="rollback"
    )
    assert shared.finish(run)["status"] == "success"
    assert is_gone(shared, first)
    assert is_gone(shared, queued)
    assert shared.values(run)["log"] == ["answer=yes", "work"]
    assert thread_status(shared, run) == "idle"
    assert {each["run_id"] for each in shared.client().runs.list(run["thread_id"])} == {
        asking["run_id"],
        run["run_id"],
    }
