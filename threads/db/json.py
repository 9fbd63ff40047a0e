"""Whether JSON contains other JSON, as PostgreSQL's `@>` says, for a database that does not know it. Pure."""

from __future__ import annotations

import functools
from typing import Any

import orjson

#: The name in SQL, on SQLite, of `contains_text`.
SQLITE_FUNCTION = "json_contains"


def contains_text(document: str | None, wanted: str) -> bool:
    """The same for JSON as text; nothing contains nothing."""
    return document is not None and contains(orjson.loads(document), _parsed(wanted))


@functools.lru_cache(maxsize=16)
def _parsed(wanted: str) -> Any:
    return orjson.loads(wanted)


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
