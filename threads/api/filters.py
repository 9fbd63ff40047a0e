"""Conditions on JSON columns that mean the same on every database."""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, JSONField, Q, Value

#: The name in SQL, on SQLite, of `contains`.
SQLITE_FUNCTION = "json_contains"


def containing(column: str, wanted: dict[str, Any]) -> Q:
    """Rows whose JSON has everything that is wanted, as PostgreSQL's `@>` says.

    To be used on the thread that executes the query: SQLite learns the operation for that thread's connection.
    """
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__contains": wanted})
    connection.ensure_connection()
    connection.connection.create_function(SQLITE_FUNCTION, 2, _contains_text, deterministic=True)
    condition = Func(
        F(column), Value(wanted, JSONField()), function=SQLITE_FUNCTION, output_field=BooleanField()
    )
    return Q(condition)


def _contains_text(document: str, wanted: str) -> bool:
    return contains(json.loads(document), json.loads(wanted))


def contains(document: Any, wanted: Any) -> bool:
    """Whether an object has all wanted keys, a list all wanted elements in any order, and a scalar is the same."""
    if isinstance(wanted, dict):
        return isinstance(document, dict) and all(
            key in document and contains(document[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(document, list) and all(
            any(contains(each, value) for each in document) for value in wanted
        )
    if isinstance(wanted, bool) or isinstance(document, bool):
        return document is wanted
    return not isinstance(document, dict | list) and bool(document == wanted)
