"""Each check finds its violation in a right record with one change."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import httpx
import pytest

from tests.chaos.api import Api, Unanswered
from tests.chaos.checks import check, in_turn
from tests.chaos.found import Found
from tests.chaos.ledger import CREATED, Creation, Ledger, Reading, Story
from tests.chaos.monkey import KINDS, faults
from tests.chaos.reading_checks import bulks
from tests.chaos.report import alarms_of
from tests.chaos.shapes import STEPS, Order, bulk, digest, is_right, too_often, work_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def event(epoch: int, seq: int, name: str, data: Any, seconds: float) -> dict[str, Any]:
    return {
        "run_id": "run", "epoch": epoch, "seq": seq, "event": name, "data": json.dumps(data), "created_at": at(seconds),
    }  # fmt: skip


def record() -> tuple[Found, Ledger]:
    """A run that was lost in its second step and resumed; one reader saw all of it."""
    run = {
        "id": "run", "thread_id": "thread", "status": "success", "attempt": 2, "lost_attempts": 1, "epoch": 3,
        "worker_id": None, "finished_at": at(9), "created_at": at(0), "due_at": at(0), "error": None,
        "metadata": {"key": "tag", "owner": "ada"}, "kwargs": "{}", "event_count": 2,
    }  # fmt: skip
    thread = {
        "id": "thread",
        "status": "idle",
        "epoch": 3,
        "values": {"log": work_of("tag", STEPS)},
        "metadata": {"owner": "ada"},
    }
    events = [event(1, 1, "metadata", {"attempt": 1}, 1), event(3, 1, "metadata", {"attempt": 2}, 5)]
    events.append(event(3, 2, "values", {}, 9))
    executed = [(1, "s0"), (1, "s1"), (2, "s1"), (2, "s2"), (2, "s3"), (2, "s4")]
    place = {"thread_id": "thread", "ns": "", "run_id": "run"}
    checkpoints = [
        {**place, "id": "1", "parent": None, "source": "input"},
        {**place, "id": "2", "parent": "1", "source": "loop"},
    ]
    found = Found([run], {"thread": thread}, {"run": events}, checkpoints, {"run": executed})
    creation = Creation(Order("steps", "tag", 0.1, durability="sync"), "thread", state=CREATED, run_id="run")
    story = Story("steps", "thread", user="ada", acts=[creation], ended=True)
    # The reader also saw events that the lost attempt had not written yet.
    reading = Reading("run", [(1, 1), (1, 2), (3, 1), (3, 2)], complete=True)
    return found, Ledger([story], [reading])


def test_a_right_record_has_nothing_wrong() -> None:
    assert check(*record()) == []


def another(found: Found, ledger: Ledger) -> None:
    found.runs.append({**copy.deepcopy(found.runs[0]), "id": "other"})  # type: ignore[attr-defined]


WRONG: dict[str, tuple[Callable[[Found, Ledger], object], str]] = {
    "lost": (lambda found, ledger: found.runs.clear(), "is lost"),  # type: ignore[attr-defined]
    "doubled": (another, "created 2 times"),
    "unasked": (lambda found, ledger: ledger.stories.clear(), "Nobody asked"),
    "failed": (lambda found, ledger: found.runs[0].update(status="error", error="x"), "ended as error"),
    "not ended": (lambda found, ledger: found.runs[0].update(status="running"), "ended as running"),
    "output": (lambda found, ledger: found.threads["thread"]["values"]["log"].pop(), "has {'log'"),
    "busy": (lambda found, ledger: found.threads["thread"].update(status="busy"), "Thread thread: "),
    "gap": (lambda found, ledger: found.events["run"].pop(1), "Run run: "),
    "forked": (
        lambda found, ledger: found.checkpoints.append(found.checkpoints[1]),
        "Checkpoints of thread thread: ",
    ),  # type: ignore[attr-defined]
    "again": (lambda found, ledger: found.executed["run"].append((2, "s4")), "2 times in attempt 2"),
    "landed": (lambda found, ledger: found.executed["run"].insert(2, (2, "s0")), "began at stage 0"),
    "missed": (lambda found, ledger: ledger.readings[0].ids.pop(), "never saw [(3, 2)]"),
    "repeated": (lambda found, ledger: ledger.readings[0].ids.append((3, 2)), "(3, 2) after (3, 2)"),
    "invented": (lambda found, ledger: ledger.readings[0].ids.append((3, 3)), "saw [(3, 3)]"),
    "outlived": (lambda found, ledger: found.events.update(gone=[]), "Run gone is gone"),
    "left rows": (lambda found, ledger: found.threads.clear(), "Thread thread is gone, and its rows are not"),
    "left out": (
        lambda found, ledger: found.executed["run"].remove((2, "s4")),
        "['s4'] was never executed",
    ),
    "not its own": (
        lambda found, ledger: setattr(ledger.stories[0].creations[0], "steps", STEPS[:4]),
        "['s4'] was not this run's to execute",
    ),
    "shared": (
        lambda found, ledger: found.threads["thread"]["metadata"].update(owner="eve"),
        "of ada says {'owner': 'eve'}",
    ),
    "run shared": (
        lambda found, ledger: found.runs[0]["metadata"].update(owner="eve"),
        "Run run of ada says",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(name: str) -> None:
    found, ledger = record()
    change, said = WRONG[name]
    change(found, ledger)
    wrong = check(found, ledger)
    assert any(said in each for each in wrong), wrong


def test_a_run_that_was_cancelled_before_it_went_on_left_events_unwritten() -> None:
    found, ledger = record()
    ledger.stories[0].creations[0].cancelled = "interrupt"
    ledger.readings[0].ids[2:] = []
    found.runs[0].update(status="interrupted", epoch=1, event_count=0)
    del found.events["run"][1:]
    found.executed["run"][2:] = []
    found.threads["thread"]["values"]["log"] = []
    assert not [each for each in check(found, ledger) if "reader" in each]
    found.runs[0].update(event_count=1)
    assert not [each for each in check(found, ledger) if "reader" in each]
    found.runs[0].update(lost_attempts=0)
    assert [each for each in check(found, ledger) if "saw [(1, 2)]" in each]


def test_work_of_several_runs_must_be_in_turn_and_whole_if_they_succeeded() -> None:
    rows = [
        {"metadata": {"key": key}, "status": status}
        for key, status in (("a", "success"), ("b", "interrupted"))
    ]
    assert in_turn([*work_of("a", STEPS), *work_of("b", STEPS[:2])], rows)
    assert in_turn(work_of("a", STEPS), rows)
    assert not in_turn([*work_of("a", STEPS[:4]), *work_of("b", STEPS)], rows)
    assert not in_turn([*work_of("b", STEPS[:2]), *work_of("a", STEPS)], rows)
    assert not in_turn([*work_of("a", STEPS), *work_of("b", STEPS[1:2])], rows)


def test_an_attempt_may_repeat_one_superstep_more_in_async() -> None:
    executed = [(1, "s0"), (1, "s1"), (1, "s2"), (2, "s1"), (2, "s2"), (2, "s3"), (2, "s4")]
    assert too_often("steps", executed, durability="async") == []
    assert too_often("steps", executed, durability="sync") != []
    assert too_often("steps", [(1, "s2"), (2, "s0")], durability="async") != []


def test_an_output_is_right_only_if_it_is_this_runs() -> None:
    order = Order("nested", "tag", 0.1)
    right = {
        "log": work_of("tag", ("first", "fan0", "fan1", "fan2", "last")),
        "inner": work_of("tag", ("x", "y")),
    }
    assert is_right(order, right)
    assert not is_right(order, {**right, "inner": work_of("other", ("x", "y"))})


def test_only_forks_that_were_asked_for_are_right() -> None:
    found, ledger = record()
    last = found.checkpoints[-1]
    found.checkpoints.append({**last, "id": "3"})  # type: ignore[attr-defined]
    assert any("The history forked" in each for each in check(found, ledger))
    ledger.stories[0].forks["1"] = 1
    assert check(found, ledger) == []
    found.checkpoints.append({**last, "id": "4"})  # type: ignore[attr-defined]
    assert any("The history forked" in each for each in check(found, ledger))


def test_rows_of_a_deleted_thread_that_nobody_sees_any_more_are_the_sweeps() -> None:
    found, ledger = record()
    [story] = ledger.stories
    story.kind, story.deletion, story.creations[0].deleted = "deleted thread", "done", True
    found.runs[0].update(status="interrupted", worker_id="worker")
    assert any("has {'log'" in each for each in check(found, ledger))
    found.threads["thread"]["discarded_at"] = at(9)
    assert check(found, ledger) == []
    found.events.clear()
    assert check(found, ledger) == []


def test_readers_of_a_run_saw_the_same() -> None:
    found, ledger = record()
    [reading] = ledger.readings
    reading.digests = {"3-2": "one"}
    ledger.readings.append(copy.deepcopy(reading))
    assert check(found, ledger) == []
    ledger.readings[1].digests["3-2"] = "another"
    assert check(found, ledger) == ["Readers of run run saw different events 3-2"]


def test_a_large_event_is_what_its_step_wrote() -> None:
    order = Order("large", "tag", 0.1, size=100)
    ledger = Ledger([Story("large", "thread", acts=[Creation(order, "thread", run_id="run")])])
    reading = Reading("run", bulks={"l0": [digest(bulk("tag", "l0", 100))]})
    ledger.readings.append(reading)
    assert list(bulks(ledger)) == []
    reading.bulks["l1"] = reading.bulks["l0"]
    assert list(bulks(ledger)) == ["A reader of run run saw another text of l1"]


@pytest.mark.parametrize(
    "line",
    [
        "Task exception was never retrieved",
        "coroutine 'f' was never awaited",
        "Task was destroyed but it is pending!",
        "Exception in callback f()",
        "Internal Server Error: /threads",
    ],
)
def test_a_log_says_nothing_of_failures(line: str) -> None:
    assert alarms_of("log-1", f"well\n2026-01-01 ERROR {line}\n") == [f"log-1: 2026-01-01 ERROR {line}"]
    assert alarms_of("log-1", "connection lost; it is tried again") == []


@pytest.mark.parametrize(("status", "blamed"), [(500, 1), (502, 1), (503, 0), (404, 0)])
async def test_a_failing_server_is_a_violation_also_in_a_stream(status: int, blamed: int) -> None:
    class Somewhere:
        def urls(self) -> list[str]:
            return ["http://server"]

    ledger = Ledger()
    api = Api(Somewhere(), ledger, "seed")
    await api.close()
    transport = httpx.MockTransport(lambda request: httpx.Response(status, text="kaboom"))
    api._client = httpx.AsyncClient(transport=transport)
    with suppress(Unanswered):
        await api.once("GET", "/threads/1")
    assert len(ledger.violations) == blamed
    async with api.stream("/threads/1/runs/2/stream", after="-1"):
        pass
    assert len(ledger.violations) == 2 * blamed
    await api.close()


def test_a_seed_decides_the_faults_and_each_kind_comes_in_each_round() -> None:
    rounds = 2 * len(KINDS)
    first = list(islice(faults(7, 3), rounds))
    assert first == list(islice(faults(7, 3), rounds))
    assert first != list(islice(faults(8, 3), rounds))
    assert sorted(fault.kind for fault in first[: len(KINDS)]) == sorted(KINDS)
