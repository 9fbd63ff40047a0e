"""JSON of any value in a graph's state."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from collections import deque
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
import pytest
from langchain_core import messages
from langgraph.types import Interrupt
from pydantic import BaseModel

from runs.encoding import PLAIN_MESSAGES, decode, encode


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    at: datetime.date


@dataclasses.dataclass
class Point:
    x: int
    inner: Any


class Pair(NamedTuple):
    a: int
    b: int


CASES: list[tuple[Any, Any]] = [
    (float("nan"), None),
    ({1: "a"}, {"1": "a"}),
    ({"s": {1}}, {"s": [1]}),
    (deque([1, 2]), [1, 2]),
    (Pair(1, 2), {"a": 1, "b": 2}),
    (b"\x00\xff", "AP8="),
    (Colour.RED, "red"),
    (Model(at=datetime.date(2026, 1, 2)), {"at": "2026-01-02"}),
    (Point(1, Point(2, None)), {"x": 1, "inner": {"x": 2, "inner": None}}),
    (ValueError("no"), {"error": "ValueError", "message": "no"}),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (datetime.timedelta(seconds=90), 90.0),
    (Decimal("1.5"), 1.5),
    (Decimal(2), 2),
    (2**80, str(2**80)),
    ("a\ud800b", "a\ufffdb"),
    ({"deep": [{"\ud800": Point(1, "\udfff")}]}, {"deep": [{"\ufffd": {"x": 1, "inner": "\ufffd"}}]}),
    (Interrupt(value={"q": 1}, id="x"), {"value": {"q": 1}, "id": "x", "response_schema": None}),
    (int, "int"),
]


@pytest.mark.parametrize(("value", "expected"), CASES, ids=lambda each: type(each).__name__)
def test_each_kind_of_value_has_its_json(value: Any, expected: Any) -> None:
    assert decode(encode(value)) == expected


@pytest.mark.parametrize("kind", sorted(PLAIN_MESSAGES, key=lambda kind: kind.__name__))
def test_a_message_is_written_as_its_own_dump(kind: Any) -> None:
    extra: dict[str, Any] = {"tool_call_id": "t"} if kind is messages.ToolMessage else {}
    made = kind(id="1") if kind is messages.RemoveMessage else kind(content="hé", id="1", name="n", **extra)
    expected = made.model_dump()
    assert decode(encode(made)) == orjson.loads(orjson.dumps(expected))
    assert list(decode(encode(made))) == list(expected)


def test_a_message_with_tool_calls_is_written_as_its_own_dump() -> None:
    call = {"name": "f", "args": {"a": 1}, "id": "c", "type": "tool_call"}
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    made = messages.AIMessage([{"type": "text", "text": "x"}], tool_calls=[call], usage_metadata=usage)
    assert decode(encode(made)) == orjson.loads(orjson.dumps(made.model_dump()))


def test_an_object_of_any_other_kind_is_written_as_its_text() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    assert encode({"a": Odd()}) == '{"a":"odd"}'


def test_what_refers_to_itself_does_not_hang() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert encode(loop).startswith("[")
