"""Filters of any size: what they cost does not grow with what is compared."""

from __future__ import annotations

from typing import Any

import pytest

from threads.store.exceptions import InvalidFilter
from threads.store.filters import FRAGMENT, LONGEST, condition, fragments

#: Digits that Python reads as a number, in more than one byte each.
ONE = "\u0661"


@pytest.mark.parametrize(
    ("value", "wanted", "holds"),
    [
        ({"a": "12"}, {"a": {"$gt": 9}}, True),
        ({"a": ONE}, {"a": {"$lt": "2"}}, True),
        ({"a": "b"}, {"a": {"$gte": "a" * LONGEST}}, True),
        ({"a": {"b": [1, "x"]}}, {"a": {"b": [{"$gte": 1}, "x"]}}, True),
        ({"a": {"b": [1]}}, {"a": {"b": [1, 2]}}, False),
        ({"a": 1}, {"a": {"$ne": 2, "$lte": 1}}, True),
        ({"a": 1}, {"a": {"b": None}}, False),
        ({}, None, True),
    ],
)
def test_a_condition(value: dict[str, Any], wanted: dict[str, Any] | None, holds: bool) -> None:
    assert condition(wanted)(value) is holds


@pytest.mark.parametrize("operator", ["$gt", "$gte", "$lt", "$lte"])
def test_a_long_text_is_not_compared(operator: str) -> None:
    with pytest.raises(InvalidFilter, match=r"has at most 1000 characters\."):
        condition({"a": {"b": {operator: ONE * (LONGEST + 1)}}})


def test_a_long_text_is_no_number() -> None:
    """Reading one as a number takes longer than its share of a second, in each row."""
    long = "1" * (LONGEST + 1)
    assert not condition({"a": {"$gt": 0}})({"a": long})
    assert condition({"a": {"$gt": "0"}})({"a": long})
    assert condition({"a": {"$eq": long}})({"a": long})


def test_an_operand_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from threads.store import filters

    read: list[Any] = []
    original = filters._number
    monkeypatch.setattr(filters, "_number", lambda value: (read.append(value), original(value))[1])
    holds = condition({"a": {"$gt": "5"}})
    assert [holds({"a": number}) for number in (4, 5, 6)] == [False, False, True]
    assert read == ["5", 4, 5, 6]


def test_a_database_looks_for_a_short_text() -> None:
    whole = {"k": "x" * 10, "n": 1, "e": {"$eq": "y"}}
    assert list(fragments(whole)) == ['"k":"xxxxxxxxxx"', '"e":"y"']
    [found] = fragments({'"' * 100_000: "x" * 100_000})
    assert len(found) == FRAGMENT
    assert found.startswith('"\\"')
