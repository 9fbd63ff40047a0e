"""Which commands are accepted, and what is found in them."""

from __future__ import annotations

from typing import Any

import pytest

from runs.exceptions import InvalidRequest
from runs.requests.command import (
    MOST_TARGETS,
    MOST_VALUES,
    check_targets,
    messages_in,
    sanitised_command,
    values_in,
)


def test_an_empty_command_is_a_command() -> None:
    assert sanitised_command({}) == {}
    assert sanitised_command(None) is None


def test_a_command_keeps_what_it_knows() -> None:
    command = {"update": {"a": 1}, "goto": "tail", "resume": False, "graph": "__parent__", "x": 1}
    assert sanitised_command(command) == {"update": {"a": 1}, "goto": "tail", "resume": False}


def test_null_in_a_command_is_absent() -> None:
    assert sanitised_command({"update": None, "goto": None, "resume": None}) == {}


@pytest.mark.parametrize("update", [{"a": 1}, [["a", 1], ["a", 2]], []])
def test_an_update_is_an_object_or_pairs(update: Any) -> None:
    assert sanitised_command({"update": update}) == {"update": update}


@pytest.mark.parametrize("update", ["x", 1, [1], [["a"]], [["a", 1, 2]], [[1, 2]]])
def test_other_updates_are_refused(update: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"command\.update"):
        sanitised_command({"update": update})


@pytest.mark.parametrize("goto", ["n", ["n", "m"], {"node": "n", "input": 1}, [{"node": "n"}, "m"]])
def test_a_destination_is_a_node_or_something_sent_to_one(goto: Any) -> None:
    assert sanitised_command({"goto": goto}) == {"goto": goto}


@pytest.mark.parametrize("goto", [1, [1], {"input": 1}, {"node": 5}, [["n"]]])
def test_other_destinations_are_refused(goto: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"command\.goto"):
        sanitised_command({"goto": goto})


@pytest.mark.parametrize("update", [dict.fromkeys(map(str, range(MOST_VALUES)), 1), [["a", 1]] * MOST_VALUES])
def test_the_values_of_an_update_are_few(update: Any) -> None:
    assert sanitised_command({"update": update}) == {"update": update}
    more = {**update, "x": 1} if isinstance(update, dict) else [*update, ["x", 1]]
    with pytest.raises(InvalidRequest, match=r"command\.update has at most 100 values\."):
        sanitised_command({"update": more})


def test_langgraphs_own_channels_are_not_updated() -> None:
    sent = "__pregel_tasks"
    assert sanitised_command({"update": {sent: [1], "a": 1}}) == {"update": {"a": 1}}
    assert sanitised_command({"update": [[sent, [1]], ["a", 1]]}) == {"update": [["a", 1]]}


SENT = {"node": "n", "input": {}}


def test_targets_are_few() -> None:
    few = [SENT] * MOST_TARGETS
    assert sanitised_command({"goto": few}) == {"goto": few}
    for many in ([SENT] * (MOST_TARGETS + 1), ["n"] * (MOST_TARGETS + 1)):
        with pytest.raises(InvalidRequest, match=r"command\.goto has at most 100 targets\."):
            sanitised_command({"goto": many})


def test_targets_of_commands_that_belong_together_are_counted_together() -> None:
    half = {"goto": [SENT] * (MOST_TARGETS // 2)}
    check_targets(half, {}, half)
    with pytest.raises(InvalidRequest):
        check_targets(half, {"goto": "n"}, half)


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({"messages": ["a", "b"], "log": ["c"]}, 2),
        ([["messages", ["a"]], ["log", ["b"]], ["messages", ["c", "d"]]], 3),
        ([{"messages": ["a"]}, {"messages": ["b"]}], 2),
        ({"messages": "a"}, 0),
        ({"log": {"messages": ["a"]}}, 0),
        (["messages", "a"], 0),
        ("messages", 0),
        (None, 0),
    ],
)
def test_messages_are_counted_in_each_form_of_values(values: Any, count: int) -> None:
    assert messages_in(values) == count


def test_a_command_brings_its_update_and_what_it_sends() -> None:
    command = {"update": {"a": 1}, "goto": ["n", {"node": "m", "input": {"b": 1}}], "resume": {"c": 1}}
    assert list(values_in(command)) == [{"a": 1}, {"b": 1}]
    assert list(values_in({"goto": {"node": "m", "input": 1}})) == [None, 1]
