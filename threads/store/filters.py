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
#: Maximum characters of a text that is compared, and of one that is read as a number.
LONGEST = 1000
#: Maximum characters of a fragment. SQLite looks for it at each character of an item.
FRAGMENT = 256

#: Whether a value of an item is what a part of the filter wants.
Condition = Callable[[Any], bool]


def condition(wanted: Mapping[str, Any] | None) -> Condition:
    """What an item's value must be; it is asked once for each row. Raises InvalidFilter with the reason."""
    try:
        orjson.dumps(wanted)
    except TypeError as error:
        raise InvalidFilter(f"The filter is not JSON: {error}.") from None
    return _of_keys({key: _condition(each) for key, each in (wanted or {}).items()})


def _condition(wanted: Any) -> Condition:
    if isinstance(wanted, Mapping):
        if any(key.startswith("$") for key in wanted):
            return _all([_comparison(operator, operand) for operator, operand in wanted.items()])
        return _of_keys({key: _condition(each) for key, each in wanted.items()})
    if isinstance(wanted, list | tuple):
        return _of_items([_condition(each) for each in wanted])
    return lambda found: _same(found, wanted)


def _all(conditions: list[Condition]) -> Condition:
    return lambda found: all(holds(found) for holds in conditions)


def _of_keys(conditions: Mapping[str, Condition]) -> Condition:
    return lambda found: (
        isinstance(found, Mapping) and all(holds(found.get(key)) for key, holds in conditions.items())
    )


def _of_items(conditions: list[Condition]) -> Condition:
    return lambda found: (
        isinstance(found, list)
        and len(found) == len(conditions)
        and all(holds(each) for holds, each in zip(conditions, found, strict=True))
    )


def _comparison(operator: str, operand: Any) -> Condition:
    """Compare numbers, also those written as text; compare two other texts by their characters.

    All comparisons are false for values that cannot be compared, such as a missing key.
    """
    if operator not in OPERATORS:
        raise InvalidFilter(
            f"The filter's operator {operator!r} is not known; there are {', '.join(OPERATORS)}."
        )
    if operator not in ORDER:
        return lambda found: _same(found, operand) is (operator == "$eq")
    if not isinstance(operand, int | float | str):
        raise InvalidFilter(f"The filter's {operator} needs a number or a text.")
    if isinstance(operand, str) and len(operand) > LONGEST:
        raise InvalidFilter(f"The text of the filter's {operator} has at most {LONGEST} characters.")
    compare, number = ORDER[operator], _number(operand)

    def holds(found: Any) -> bool:
        if number is not None and (other := _number(found)) is not None:
            return compare(other, number)
        return isinstance(found, str) and isinstance(operand, str) and compare(found, operand)

    return holds


def _number(value: Any) -> float | None:
    if isinstance(value, str) and len(value) > LONGEST:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


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
            yield f"{encode(key)}:{encode(text)}"[:FRAGMENT]


def encode(value: Any) -> str:
    """Compact JSON, the form in which values are stored."""
    return orjson.dumps(value).decode()
