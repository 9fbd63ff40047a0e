"""The judge of generated cases finds violations, and printed cases parse to equal ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.crash_points.judging import wrong
from tests.crash_points.specs import draw, parse, smaller
from tests.crash_points.telling import Shown, Told

ASKED = Shown("success", "interrupted", {"log": ["in0", "n00"]}, {"id": "n10?0"}, ("n10",))
ENDED = Shown("success", "idle", {"log": ["in0", "n00", "n10[to n10?0]"]})
EXPECTED = Told([ASKED, ENDED], committed={repr(each.values) for each in (ASKED, ENDED)})
EXECUTED = {"n00": 1, "n10": 2}


def judged(told: Told, now: dict[str, int] = EXECUTED, **fields: Any) -> str:
    given = {"kind": "before", "steps": 1} | fields
    return wrong(EXPECTED, EXECUTED, told, now, **given)


@pytest.mark.parametrize("kind", ["", "before", "after", "drain", "ask", "cancel"])
def test_what_plain_langgraph_shows_is_right(kind: str) -> None:
    assert judged(Told([ASKED, ENDED]), kind=kind) == ""


@pytest.mark.parametrize(
    "last",
    [
        replace(ENDED, status="error"),
        replace(ENDED, thread="interrupted"),
        replace(ENDED, values={"log": ["in0", "n00", "n10[to another]"]}),
        replace(ENDED, values={"log": ["in0", "in0", "n00", "n10[to n10?0]"]}),
        replace(ENDED, waiting={"id": "n10?0"}),
    ],
)
def test_another_status_value_answer_or_interrupt_is_wrong(last: Shown) -> None:
    assert "run 1" in judged(Told([ASKED, last]))


def test_a_run_more_or_less_is_wrong() -> None:
    assert "3 runs instead of 2" in judged(Told([ASKED, ENDED, ENDED]))
    assert "1 runs instead of 2" in judged(Told([ASKED]))


def test_an_accident_may_repeat_a_node_once() -> None:
    told = Told([ASKED, ENDED])
    assert judged(told, {"n00": 2, "n10": 2}) == ""
    assert "too often" in judged(told, {"n00": 3, "n10": 2})
    assert "too often" in judged(told, {"n00": 2, "n10": 2}, kind="")


def test_an_accident_repeats_nodes_of_so_many_supersteps() -> None:
    told, now = Told([ASKED, ENDED]), {"n00": 2, "n10": 3}
    assert "more than the unfinished steps" in judged(told, now)
    assert judged(told, now, steps=2) == ""
    assert judged(told, now, steps=None) == ""


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["n00", "n01"], 1),
        (["n00", "n00w"], 2),
        (["n00s00", "n00s10"], 2),
        (["n00c00", "n01c10"], 1),
        (["n10", "n10c00s00"], 1),
    ],
)
def test_the_supersteps_of_each_graph_are_counted_by_themselves(names: list[str], steps: int) -> None:
    once, twice = dict.fromkeys(names, 1), dict.fromkeys(names, 2)
    told = Told([ENDED])
    assert wrong(told, once, told, twice, kind="drain", steps=steps) == ""
    assert wrong(told, once, told, twice, kind="drain", steps=steps - 1) != ""


def test_a_cancel_leaves_a_committed_step_and_answers_that_were_used() -> None:
    stopped = replace(ASKED, status="interrupted", committed=repr(ASKED.values))
    again = replace(ENDED, values={"log": ["in0", "n00", "n10[to n10?0!]"]})
    assert judged(Told([ASKED, stopped, again], again=["n10?0"]), kind="cancel") == ""
    assert "was not used" in judged(Told([ASKED, stopped, ENDED], again=["n10?0"]), kind="cancel")
    half = replace(stopped, committed=repr({"log": ["in0", "half"]}))
    assert "no state of a committed step" in judged(
        Told([ASKED, half, again], again=["n10?0"]), kind="cancel"
    )


def test_a_printed_case_is_the_same_again_and_its_parts_are_smaller() -> None:
    for seed in range(500):
        case = draw(seed)
        assert parse(str(case)) == case
        for each in smaller(case):
            assert each != case
            assert parse(str(each)) == each
