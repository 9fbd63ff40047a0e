"""Any value is stored."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import orjson
import pytest

from threads.db.fields import TextJSONField
from threads.db.values.plain import class_name


class Deaf:
    """An object without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def model_dump(self) -> Any:
        raise RuntimeError("no dump")


@dataclasses.dataclass
class Pair:
    one: Any


deep: list[Any] = []
for _ in range(1000):
    deep = [deep]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"caf\udce9": ["\udce9.txt", "a\0b"]}, {"caf\ufffd": ["\ufffd.txt", "a\0b"]}),
        ({1: 2**70, None: {3}}, {"1": str(2**70), "None": [3]}),
        ([math.nan, "\ud800", True, None], [None, "\ufffd", True, None]),
        ([Deaf(), "\ud800", {Deaf(): Pair(Deaf())}], ["Deaf", "\ufffd", {"Deaf": {"one": "Deaf"}}]),
    ],
)
def test_what_json_cannot_hold_is_stored_as_something_like_it(value: Any, stored: Any) -> None:
    assert orjson.loads(TextJSONField().get_prep_value(value) or "") == stored


def test_what_is_nested_too_deeply_is_cut() -> None:
    assert '"list"' in (TextJSONField().get_prep_value(deep) or "")


def test_the_name_of_a_class_is_a_text_whatever_its_metaclass_says() -> None:
    class Numbered(type):
        __name__ = 5  # type: ignore[assignment]

    class Kind(metaclass=Numbered):
        pass

    assert class_name(Kind) == "Kind"
