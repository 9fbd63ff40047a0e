"""The cases of the resume rule's two tables. That they suffice is for `tests/crash_points` to show."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.types import Command, Send

from runs.execution.resume import Landed, Resumption, Task, executed_nodes, landed, source

FIRST, SECOND, THIRD = "1" * 32, "2" * 32, "3" * 32
NULL = "00000000-0000-0000-0000-000000000000"
RESUME, INTERRUPT = "__resume__", "__interrupt__"
LEAF = Task("sub:1", "c1", "task")


def row(namespace: str, task: str, channel: str, value: str = "v", checkpoint: str = "c1") -> list[Any]:
    return [namespace, checkpoint, task, 0, "", channel, "msgpack", value]


def asked(row: Any) -> list[str]:
    return [row[7]]


def compared(now: list[Any], base: list[Any] | None) -> Landed:
    return landed(now, base, asked=asked)


# --- what the root graph is invoked with


@pytest.mark.parametrize(
    "kwargs", [{"input": {"a": 1}}, {"input": None, "command": {"resume": {FIRST: "yes"}}}]
)
def test_a_run_that_has_begun_goes_on_from_its_head(kwargs: dict[str, Any]) -> None:
    assert source(kwargs, begun=True, waiting=[FIRST]) is None


def test_an_input_that_has_not_landed_is_given_again() -> None:
    assert source({"input": {"a": 1}}, begun=False, found=Landed(command=True)) == {"a": 1}


def test_of_answers_by_id_those_to_waiting_interrupts_are_given() -> None:
    kwargs = {"command": {"resume": {FIRST: "yes", SECOND: "late"}, "update": {"a": 1}}}
    assert source(kwargs, begun=False, waiting=[FIRST]) == Command(resume={FIRST: "yes"}, update={"a": 1})


def test_a_command_that_has_landed_is_not_given_again_but_its_answers_are() -> None:
    kwargs = {"command": {"resume": {FIRST: "yes"}, "update": {"a": 1}, "goto": [{"node": "n", "input": 1}]}}
    again = source(kwargs, begun=False, waiting=[FIRST])
    assert again == Command(resume={FIRST: "yes"}, update={"a": 1}, goto=[Send("n", 1)])
    rest = source(kwargs, begun=False, waiting=[FIRST], found=Landed(command=True))
    assert rest == Command(resume={FIRST: "yes"})
    assert source({"command": {"update": {"a": 1}}}, begun=False, found=Landed(command=True)) is None


def test_the_pairs_of_an_update_are_given_as_langgraph_takes_them() -> None:
    kwargs = {"command": {"update": [["a", 1], ["a", 2]]}}
    given = source(kwargs, begun=False)
    assert given == Command(update=[("a", 1), ("a", 2)])
    assert given._update_as_tuples() == [("a", 1), ("a", 2)]


def test_an_answer_that_was_used_is_not_given_again() -> None:
    kwargs = {"command": {"resume": {FIRST: "yes", SECOND: "no"}}}
    found = Landed(answered=frozenset([LEAF]), used=frozenset([FIRST]))
    assert source(kwargs, begun=False, waiting=[FIRST, SECOND], found=found) == Command(resume={SECOND: "no"})


@pytest.mark.parametrize("found", [Landed(plain=True), Landed(answered=frozenset([LEAF]))])
def test_a_plain_answer_is_given_until_it_has_landed_or_was_used(found: Landed) -> None:
    kwargs = {"command": {"resume": {"decisions": ["approve"]}}}
    assert source(kwargs, begun=False) == Command(resume={"decisions": ["approve"]})
    # Not `None`: at a checkpoint that the run names, that would be a way back, for which LangGraph drops stored answers.
    assert source(kwargs, begun=False, found=found) == Command(resume={})


# --- what has landed


def test_a_run_that_wrote_to_nothing_that_it_found_has_left_nothing() -> None:
    assert compared([row("", "t", RESUME), row("", NULL, "a")], None) == Landed()


def test_what_was_there_before_the_run_is_not_the_runs() -> None:
    before = [row("", NULL, "a"), row("sub:1", "task", RESUME), row("", NULL, RESUME)]
    assert compared(before, before) == Landed()


def test_a_commands_update_and_its_plain_answer_are_seen() -> None:
    before = [row("", NULL, "a")]
    assert compared([*before, row("", NULL, "b")], before).command
    assert compared([*before, row("", NULL, RESUME)], before) == Landed(plain=True)


def test_a_task_that_has_used_an_answer_is_seen_with_what_it_had_asked() -> None:
    before = [row("sub:1", "task", INTERRUPT, FIRST), row("sub:1", "other", INTERRUPT, SECOND)]
    now = [row("sub:1", "task", INTERRUPT, THIRD), row("sub:1", "task", RESUME, "yes"), before[1]]
    assert compared(now, before) == Landed(answered=frozenset([LEAF]), used=frozenset([FIRST]))


def test_an_answer_that_took_the_place_of_another_one_was_used() -> None:
    before = [row("sub:1", "task", RESUME, "approve"), row("sub:1", "task", INTERRUPT, FIRST)]
    now = [row("sub:1", "task", RESUME, "reject"), before[1]]
    assert compared(now, before).used == {FIRST}


# --- what each graph and subgraph finds


@pytest.mark.parametrize(
    ("plain", "answered", "hidden"),
    [(False, False, True), (False, True, True), (True, False, False), (True, True, True)],
)
def test_a_stored_plain_answer_is_hidden_if_it_is_an_earlier_run_s_or_was_used(
    plain: bool, answered: bool, hidden: bool
) -> None:
    found = Landed(plain=plain, answered=frozenset([LEAF] if answered else []))
    assert Resumption(later=True, found=found).hides_plain_answer() is hidden
    assert Resumption(later=False).hides_plain_answer()


def test_a_new_answer_takes_the_place_of_the_one_that_a_failed_task_took() -> None:
    first = Resumption(later=False)
    assert first.kept_answers(LEAF, shown=[SECOND], ids=[FIRST, SECOND], sent=[SECOND]) == 1
    # It asks another one by now, or what is answered is not what it shows.
    assert first.kept_answers(LEAF, shown=[THIRD], ids=[FIRST, SECOND], sent=[THIRD]) == 2
    assert first.kept_answers(LEAF, shown=[SECOND], ids=[FIRST, SECOND], sent=[FIRST]) == 2


def test_an_answer_that_this_run_gave_is_kept() -> None:
    later = Resumption(later=True, found=Landed(answered=frozenset([LEAF])))
    assert later.kept_answers(LEAF, shown=[FIRST], ids=[FIRST], sent=[FIRST]) == 1


@pytest.mark.parametrize(
    ("head", "resuming", "older"),
    [("1", True, True), ("3", True, False), ("1", False, False), (None, True, False), ("1", None, False)],
)
def test_a_subgraph_resumes_nothing_older_than_its_task(head: Any, resuming: Any, older: bool) -> None:
    assert Resumption(later=False).is_older(head=head, parent="2", resuming=resuming) is older


def test_the_nodes_of_a_step_are_those_that_have_seen_something_and_those_that_were_sent_to() -> None:
    before = {"versions_seen": {"a": {"x": 1}, "b": {"x": 1}}}
    after = {"versions_seen": {"a": {"x": 1}, "b": {"x": 2}, "c": {"y": 1}}}
    assert executed_nodes(before, after, [Send("w", 1)]) == {"b", "c", "w"}


def test_what_an_input_discarded_was_not_executed() -> None:
    before = {
        "channel_versions": {"__start__": 2, "to:a": 2, "to:b": 2},
        "versions_seen": {"__start__": {"__start__": 1}, "a": {}, "b": {}},
    }
    after = {"versions_seen": {"__start__": {"__start__": 3}, "a": {"to:a": 2}, "b": {"to:b": 4}}}
    assert executed_nodes(before, after, [Send("w", 1)]) == {"__start__", "b"}
