"""The metadata that clients may give a thread. Pure: no Django, no database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

#: Names reserved for the server or LangGraph, because runs and checkpoints inherit a thread's metadata. A
#: client may set `graph_id` and `assistant_id` before the first run; afterwards the server sets them.
RESERVED = frozenset(["thread_id", "run_id", "cron_id", "user_id", "counters_since_delta_snapshot"])
RESERVED_PREFIXES = ("__", "langgraph_auth_")
#: The most values in metadata, which are copied to runs and checkpoints, and indexed for searches.
MOST_METADATA = 10_000


class MetadataTooLarge(ValueError):
    """The merged metadata would be larger than the site allows."""


def ensure_small(metadata: Mapping[str, Any], most: int) -> None:
    """Raise MetadataTooLarge if metadata has more than `most` bytes as JSON, 0 for no limit, or too many values.

    Each request is bounded, but what many of them merge must be checked as a whole.
    """
    try:
        ensure_few(metadata, MOST_METADATA)
    except ValueError as error:
        raise MetadataTooLarge(f"The metadata {error}.") from None
    if most and len(orjson.dumps(metadata, default=str, option=orjson.OPT_NON_STR_KEYS)) > most:
        raise MetadataTooLarge(f"The metadata has at most {most} bytes as JSON.")


def ensure_few(value: Any, most: int) -> None:
    """Raise ValueError if JSON has more than `most` values, containers included."""
    waiting, count = [value], 0
    while waiting:
        each = waiting.pop()
        inner = each.values() if isinstance(each, Mapping) else each if isinstance(each, list) else ()
        count += len(inner)
        if count > most:
            raise ValueError(f"must have at most {most} values")
        waiting += [found for found in inner if isinstance(found, Mapping | list)]


def client_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata without reserved names.

    Raises ValueError if a graph or assistant is not named by a string, and for too many values.
    """
    ensure_few(metadata, MOST_METADATA)
    for name in ("graph_id", "assistant_id"):
        if not isinstance(metadata.get(name), str | None):
            raise ValueError(f"{name} must be a string")
    return {
        name: value
        for name, value in metadata.items()
        if name not in RESERVED and not name.startswith(RESERVED_PREFIXES)
    }
