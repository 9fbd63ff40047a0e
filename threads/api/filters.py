"""Conditions on JSON columns that mean the same on every database."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import JSONField, Q, Value
from django.db.models.fields.json import KeyTransform, KeyTransformExact


def containing(column: str, wanted: dict[str, Any]) -> Q:
    """Rows whose JSON object has all that is wanted: every key, with objects compared in the same way.

    Keys and values are parameters, never parts of the query or of its lookups.
    """
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__contains": wanted})
    condition = Q()
    for transform, value in _leaves(column, wanted):
        condition &= Q(KeyTransformExact(transform, Value(value, JSONField())))
    return condition


def _leaves(source: Any, wanted: dict[str, Any]) -> list[tuple[KeyTransform, Any]]:
    found: list[tuple[KeyTransform, Any]] = []
    for key, value in wanted.items():
        transform = KeyTransform(key, source)
        found += _leaves(transform, value) if isinstance(value, dict) and value else [(transform, value)]
    return found
