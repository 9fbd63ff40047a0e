"""Whether an item matches the filter of a search. Pure.

A filter gives values of an item's top-level keys, or compares them: {"kind": "fact", "score":
{"$gt": 3}}. It is evaluated here, the same for both databases, and without paths in SQL, because a
key may have quotes, dots and brackets. The database only excludes items whose text cannot match
(`fragments`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import ge, gt, le, lt
from typing import Any

import orjson

from threads.store.exceptions import InvalidFilter

ORDER: dict[str, Callable[[Any, Any], bool]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}
OPERATORS = ("$eq", "$ne", *ORDER)


def check(wanted: Mapping[str, Any] | None) -> None:
    """Raise InvalidFilter with the reason if the filter is invalid."""
    try:
        orjson.dumps(wanted)
    except TypeError as error:
        raise InvalidFilter(f"The filter is not JSON: {error}.") from None
    for value in (wanted or {}).values():
        _check(value)


def _check(wanted: Any) -> None:
    if not isinstance(wanted, Mapping):
        return
    if not _compares(wanted):
        for value in wanted.values():
            _check(value)
        return
    for operator, operand in wanted.items():
        if operator not in OPERATORS:
            raise InvalidFilter(
                f"The filter's operator {operator!r} is not known; there are {', '.join(OPERATORS)}."
            )
        if operator in ORDER and not isinstance(operand, int | float | str):
            raise InvalidFilter(f"The filter's {operator} needs a number or a text.")


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> bool:
    """Whether an item's value matches all conditions of a filter."""
    return all(_agrees(value.get(key), each) for key, each in (wanted or {}).items())


def _agrees(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if _compares(wanted):
            return all(_compare(found, operator, operand) for operator, operand in wanted.items())
        return isinstance(found, Mapping) and all(
            _agrees(found.get(key), each) for key, each in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_agrees(each, other) for each, other in zip(found, wanted, strict=True))
        )
    return _same(found, wanted)


def _compares(wanted: Mapping[str, Any]) -> bool:
    return any(key.startswith("$") for key in wanted)


def _compare(found: Any, operator: str, operand: Any) -> bool:
    """Compare numbers, also those written as text; compare two other texts by their characters.

    All comparisons are false for values that cannot be compared, such as a missing key.
    """
    if operator in ("$eq", "$ne"):
        return _same(found, operand) is (operator == "$eq")
    try:
        return ORDER[operator](float(found), float(operand))
    except (TypeError, ValueError):
        return isinstance(found, str) and isinstance(operand, str) and ORDER[operator](found, operand)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


def fragments(wanted: Mapping[str, Any] | None) -> Iterator[str]:
    """Texts that the JSON of every matching item contains, as `encode` writes it.

    A necessary condition that a database checks without parsing. Only texts qualify, because
    numbers have several spellings (1 is also 1.0).
    """
    for key, each in (wanted or {}).items():
        text = each.get("$eq") if isinstance(each, Mapping) else each
        if isinstance(text, str):
            yield f"{encode(key)}:{encode(text)}"


def encode(value: Any) -> str:
    """Compact JSON, the form in which values are stored."""
    return orjson.dumps(value).decode()
