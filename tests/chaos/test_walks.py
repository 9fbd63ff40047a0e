"""Threads whose runs and edits each add known values: right ones, and ones with one violation."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.chaos.ledger import CREATED, REFUSED, UNKNOWN, Creation, Edit, Lists, Story
from tests.chaos.shapes import STEPS, Order, too_often, work_of
from tests.chaos.walks import after_deletion, walked


def part(label: str, begin: int, end: int, **known: Any) -> Creation:
    return Creation(
        Order("steps", "tag", 0.1),
        "thread",
        state=CREATED,
        label=label,
        adds={"log": work_of("tag", STEPS[begin:end])},
        steps=STEPS[begin:end],
        leaves="idle" if end == len(STEPS) else "interrupted",
        **known,
    )


def edited(state: str = CREATED) -> Story:
    """A chain that stopped before its third step, was edited, and continued."""
    edit = Edit("tag/edit", {"log": ["tag/edit"]}, state=state)
    return Story("edits", "thread", acts=[part("first", 0, 2), edit, part("second", 2, 5)])


def thread(status: str, *log: str, **lists: list[str]) -> dict[str, Any]:
    return {"id": "thread", "status": status, "values": {"log": list(log), **lists}}


WHOLE = [*work_of("tag", STEPS[:2]), "tag/edit", *work_of("tag", STEPS[2:])]


def test_a_walk_is_right_as_far_as_it_has_come() -> None:
    assert walked(edited(), {"first", "second"}, thread("idle", *WHOLE)) == []
    assert walked(edited(), {"first"}, thread("interrupted", *WHOLE[:3])) == []


WRONG: dict[str, tuple[str, list[str]]] = {
    "the edit is lost": ("idle", work_of("tag", STEPS)),
    "the edit came twice": ("idle", [*WHOLE[:3], *WHOLE[2:]]),
    "a breakpoint was passed": ("idle", [*work_of("tag", STEPS), "tag/edit"]),
    "a step is missing": ("idle", WHOLE[:-1]),
    "a step came twice": ("idle", [*WHOLE, WHOLE[-1]]),
    "it says that it waits": ("interrupted", WHOLE),
    "it says that it runs": ("busy", WHOLE),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_walk_that_is_wrong_is_found(name: str) -> None:
    status, log = WRONG[name]
    assert walked(edited(), {"first", "second"}, thread(status, *log))


def test_an_edit_that_nobody_knows_of_may_have_happened_or_not_but_no_more() -> None:
    story = Story("edits", "thread", acts=edited(UNKNOWN).acts[:2])
    for log in (WHOLE[:2], WHOLE[:3]):
        assert walked(story, {"first"}, thread("interrupted", *log)) == []
    assert walked(story, {"first"}, thread("interrupted", *WHOLE[:3], "tag/edit"))
    story.acts[1].state = REFUSED
    assert walked(story, {"first"}, thread("interrupted", *WHOLE[:3]))


def test_a_fork_goes_on_from_where_it_was_asked_to() -> None:
    acts = [part("whole", 0, 5), part("fork", 3, 5, base={"log": work_of("tag", STEPS[:3])})]
    story = Story("forks", "thread", acts=list(acts))
    assert walked(story, {"whole", "fork"}, thread("idle", *work_of("tag", STEPS))) == []
    assert walked(story, {"whole", "fork"}, thread("idle", *work_of("tag", (*STEPS, "s3", "s4"))))


def answered(*answers: str) -> dict[str, Any]:
    first, second = answers
    inner = work_of("tag", ("x", f"ask1={first}", "y", f"ask2={second}"))
    return thread("idle", *work_of("tag", ("before", "last")), inner=inner)


def test_an_answer_that_reached_another_question_is_found() -> None:
    order = Order("asking", "tag", 0.1)
    inner = work_of("tag", ("x", "ask1=one", "y", "ask2=two"))
    adds: tuple[Lists, ...] = (
        {"log": work_of("tag", ("before",))},
        {},
        {"log": work_of("tag", ("last",)), "inner": inner},
    )
    acts = [
        Creation(
            order, "thread", label=f"run{number}", adds=each, leaves="interrupted" if number < 2 else "idle"
        )
        for number, each in enumerate(adds)
    ]
    story, keys = Story("asking subgraph", "thread", acts=[*acts]), {"run0", "run1", "run2"}
    assert walked(story, keys, answered("one", "two")) == []
    assert walked(story, keys, answered("one", "one"))
    assert walked(story, keys, answered("two", "one"))
    # Only two of the runs exist: the second interrupt waits, and the subgraph has no visible results yet.
    assert walked(story, {"run0", "run1"}, thread("interrupted", *work_of("tag", ("before",)))) == []
    assert walked(story, {"run0", "run1"}, answered("one", "one"))


def test_an_agent_that_forgot_a_turn_is_found() -> None:
    turns = [
        Creation(
            Order("remembering", tag, 0.1), "thread",
            adds={"log": work_of(tag, ("first", "last")), "told": [f"{tag}:{heard}"]},
        )
        for tag, heard in (("t.0", "t.0"), ("t.1", "t.0,t.1"))
    ]  # fmt: skip
    story, keys = Story("turns", "thread", acts=[*turns]), {"t.0", "t.1"}
    log = [*work_of("t.0", ("first", "last")), *work_of("t.1", ("first", "last"))]
    assert walked(story, keys, thread("idle", *log, told=["t.0:t.0", "t.1:t.0,t.1"])) == []
    assert walked(story, keys, thread("idle", *log, told=["t.0:t.0", "t.1:t.1"]))
    assert walked(story, keys, thread("idle", *log, told=["t.0:t.0", "t.0:t.0"]))


def test_steps_of_subgraphs_are_not_executed_again_once_they_have_landed() -> None:
    executed = [(1, "ask1"), (1, "y"), (2, "y"), (2, "ask2")]
    assert too_often("asking", executed, durability="sync") == []
    assert too_often("asking", [*executed, (3, "ask1")], durability="sync")
    assert too_often("remembering", [(1, "wait"), (1, "last"), (2, "first")], durability="async")


def test_after_a_deletion_there_is_a_beginning_of_its_work_and_all_of_the_next() -> None:
    runs = [Creation(Order("steps", f"tag.{number}", 0.1), "thread", state=CREATED) for number in (0, 1)]
    story, rows = Story("deleted run", "thread", acts=[*runs]), {"tag.1": {"status": "success"}}
    first, second = (work_of(f"tag.{number}", STEPS) for number in (0, 1))
    assert after_deletion(second, story, rows)
    assert after_deletion([*first[:3], *second], story, rows)
    assert not after_deletion([*first[1:3], *second], story, rows)
    assert not after_deletion([*second, *first[:1]], story, rows)
    assert not after_deletion([*first[:3], *second[:4]], story, rows)
    assert after_deletion(first[:2], Story("deleted run", "thread", acts=copy.copy(runs)), {})
