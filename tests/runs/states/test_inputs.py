"""JSON in place of a state's values: what differs, in which type, and what is refused."""

from __future__ import annotations

import operator
from datetime import date
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.channels import BinaryOperatorAggregate, EphemeralValue, LastValue
from langgraph.graph.message import add_messages
from pydantic import BaseModel

from runs.exceptions import InvalidRequest
from runs.states.inputs import changes


class Price(BaseModel):
    value: int


CHANNELS: dict[str, Any] = {
    "plain": LastValue(object),
    "log": BinaryOperatorAggregate(list, operator.add),
    "messages": BinaryOperatorAggregate(list, add_messages),
    "branch:to:x": EphemeralValue(object),
}


def one(name: str, before: Any, given: Any) -> Any:
    return changes({name: given}, {name: before}, CHANNELS).get(name)


def test_only_what_differs_is_changed() -> None:
    values = {"plain": {"a": 1}, "log": ["x"]}
    assert changes({"plain": {"a": 1}, "log": ["y"]}, values, CHANNELS) == {"log": ["y"]}
    assert changes({"plain": None}, {}, CHANNELS) == {}
    assert changes({"plain": [1]}, {}, CHANNELS) == {"plain": [1]}


def test_a_hidden_secret_is_kept() -> None:
    before = {"api_key": "abc", "n": 1}
    assert one("plain", before, {"api_key": "***", "n": 1}) is None
    assert one("plain", before, {"api_key": "***", "n": 2}) == {"api_key": "abc", "n": 2}


def test_values_keep_their_type() -> None:
    said = one("messages", [HumanMessage("a")], [{"type": "human", "content": "b"}])
    assert said == [HumanMessage("b")]
    (first,) = one("messages", [], [{"type": "ai", "content": "b", "id": "1"}])
    assert first == AIMessage("b", id="1")
    assert one("plain", Price(value=1), {"value": 2}) == Price(value=2)
    assert one("plain", [Price(value=1)], [{"value": 2}, {"value": 3}]) == [Price(value=2), Price(value=3)]
    assert one("plain", HumanMessage("a"), {"type": "human", "content": "c"}) == HumanMessage("c")
    assert one("log", [], ["x"]) == ["x"]


@pytest.mark.parametrize(
    ("name", "before", "given", "why"),
    [
        ("unknown", 1, 2, "no value 'unknown'"),
        ("branch:to:x", 1, 2, "can be edited"),
        ("plain", date(2026, 1, 1), "2027-01-01", "class date"),
        ("log", [date(2026, 1, 1)], [], "items of other classes"),
        ("plain", Price(value=1), {"value": "much"}, "'plain' cannot have this value: ValidationError"),
        ("messages", [HumanMessage("a")], [{"no": "message"}], "'messages' cannot have this value"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_a_sentence(
    name: str, before: Any, given: Any, why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why) as refused:
        one(name, before, given)
    assert "\n" not in str(refused.value)
