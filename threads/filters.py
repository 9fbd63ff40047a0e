"""Whose rows are whose, and the filters of an Auth file's handlers: conditions on rows' metadata, for both
databases.

A condition is an object: `{"owner": "ada"}`, `{"owner": {"$eq": "ada"}}`, or
`{"members": {"$contains": "ada"}}` with one element or a list. All its keys must match; `$or` and
`$and` take lists of such objects, two levels deep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db.models import Model, Q

from threads.db.conditions import containing

JOINS = ("$or", "$and")
MAX_DEPTH = 2


def belonging(
    principal: object, resource: str, column: str | None = "metadata", *, systems: bool = False
) -> Q:
    """The rows of a resource that a principal has: the one rule of who sees what.

    They are those of the principal's user that fulfil the filter of the Auth file's handler. If the
    site lets its Auth file alone decide (`shares`), all rows that fulfil the filter.

    Args:
        column: The metadata column, of the row itself or a related one; None for rows without metadata.
        systems: Whether rows without a user are everybody's.
    """
    condition = narrowing(principal, resource, column) if column is not None else Q()
    if shares(principal, resource):
        return condition
    own = Q(user_id=principal.user_id)  # type: ignore[attr-defined]
    return ((own | Q(user__isnull=True)) if systems else own) & condition


def belongs(row: Model, principal: object, resource: str) -> bool:
    """Whether a row that was read is one of those that `belonging` selects; without a query if users share
    nothing.
    """
    if not shares(principal, resource) and not narrowing(principal, resource):
        return bool(row.user_id == principal.user_id)  # type: ignore[attr-defined]
    return type(row)._base_manager.filter(belonging(principal, resource), pk=row.pk).exists()


def shares(principal: object, resource: str) -> bool:
    """Whether an Auth file's handlers alone decide which rows of a resource a principal has."""
    return resource in getattr(principal, "shared", ())


def narrowing(principal: object, resource: str, column: str = "metadata") -> Q:
    """The condition on metadata by which an Auth file's handler limits a principal; most have none.

    Args:
        column: The metadata column, of the row itself or a related one.
    """
    filters: Mapping[str, Any] = getattr(principal, "filters", None) or {}
    condition = filters.get(resource)
    return fulfilling(column, condition) if condition else Q()


def checked(condition: object, depth: int = 0) -> dict[str, Any]:
    """Return the condition if it is valid. Raises ValueError with the reason."""
    if not isinstance(condition, dict):
        raise ValueError(f"a filter must be an object, and {condition!r} is not one")
    for key, wanted in condition.items():
        if key in JOINS:
            if depth >= MAX_DEPTH:
                raise ValueError(f"$or and $and are nested more than {MAX_DEPTH} levels deep")
            if not isinstance(wanted, list) or not wanted:
                raise ValueError(f"{key} takes a list of filters")
            for part in wanted:
                checked(part, depth + 1)
        elif not isinstance(key, str) or key.startswith("$"):
            raise ValueError(f"{key!r} is not an operator; known are $eq, $contains, $or and $and")
        elif isinstance(wanted, dict) and (unknown := sorted(set(wanted) - {"$eq", "$contains"}, key=str)):
            raise ValueError(f"{unknown[0]!r} is not an operator; known are $eq, $contains, $or and $and")
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
    """The metadata that a row must contain for this key."""
    if not isinstance(wanted, dict):
        return wanted
    if "$eq" in wanted:
        return wanted["$eq"]
    elements = wanted["$contains"]
    return elements if isinstance(elements, list) else [elements]
