"""What an Auth file's handlers let a principal see: conditions on rows' metadata, on both databases.

A condition is an object: `{"owner": "ada"}`, `{"owner": {"$eq": "ada"}}`, `{"members": {"$contains": "ada"}}` with one
element or a list of them, all of its keys together; `$or` and `$and` take lists of such objects, two levels deep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from threads.db.conditions import containing

JOINS = ("$or", "$and")
MAX_DEPTH = 2


def narrowing(principal: object, resource: str, column: str = "metadata") -> Q:
    """The condition under which a principal sees rows of a resource; of most principals there is none.

    Args:
        column: The rows' metadata, also of a related row.
    """
    filters: Mapping[str, Any] = getattr(principal, "filters", None) or {}
    condition = filters.get(resource)
    return fulfilling(column, condition) if condition else Q()


def checked(condition: object, depth: int = 0) -> dict[str, Any]:
    """Return a condition that is one. Raises ValueError, which says what is wrong with it."""
    if not isinstance(condition, dict):
        raise ValueError(f"a filter is an object, and {condition!r} is none")
    for key, wanted in condition.items():
        if key in JOINS:
            if depth >= MAX_DEPTH:
                raise ValueError(f"$or and $and are nested more than {MAX_DEPTH} levels deep")
            if not isinstance(wanted, list) or not wanted:
                raise ValueError(f"{key} takes a list of filters")
            for part in wanted:
                checked(part, depth + 1)
        elif not isinstance(key, str) or key.startswith("$"):
            raise ValueError(f"{key!r} is no operator; known are $eq, $contains, $or and $and")
        elif isinstance(wanted, dict) and (unknown := sorted(set(wanted) - {"$eq", "$contains"}, key=str)):
            raise ValueError(f"{unknown[0]!r} is no operator; known are $eq, $contains, $or and $and")
        elif isinstance(wanted, dict) and len(wanted) != 1:
            raise ValueError(f"the filter of {key!r} needs one operator")
        else:
            _check_json(key, wanted)
    return condition


def _check_json(key: str, wanted: object) -> None:
    try:
        json.dumps(wanted, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"the filter of {key!r} has a value that is not JSON") from None


def fulfilling(column: str, condition: Mapping[str, Any]) -> Q:
    found = Q()
    for key, wanted in condition.items():
        if key in JOINS:
            parts = [fulfilling(column, part) for part in wanted]
            joined = parts[0]
            for part in parts[1:]:
                joined = joined | part if key == "$or" else joined & part
            found &= joined
        else:
            found &= containing(column, {key: _contained(wanted)})
    return found


def _contained(wanted: Any) -> Any:
    """What a row's metadata has to contain for its key."""
    if not isinstance(wanted, dict):
        return wanted
    if "$eq" in wanted:
        return wanted["$eq"]
    elements = wanted["$contains"]
    return elements if isinstance(elements, list) else [elements]
