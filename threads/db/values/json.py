"""PostgreSQL's `@>` for databases without it: whether JSON contains other JSON. Pure."""

from __future__ import annotations

import functools
from typing import Any

import orjson

#: The SQL name of `contains_text` on SQLite.
SQLITE_FUNCTION = "json_contains"


def contains_text(document: str | None, wanted: str) -> bool:
    """The same for JSON as text; None contains nothing."""
    return document is not None and contains(orjson.loads(document), _parsed(wanted))


@functools.lru_cache(maxsize=16)
def _parsed(wanted: str) -> Any:
    return orjson.loads(wanted)


def contains(document: Any, wanted: Any) -> bool:
    """Objects need all wanted keys, lists all wanted elements in any order.

    Scalars must be equal.
    """
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
