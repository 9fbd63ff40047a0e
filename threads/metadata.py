"""What clients may say in a thread's metadata. Pure: no Django, no database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Names that belong to the server or to LangGraph: a thread's metadata become those of its runs, and of each checkpoint.
#: `graph_id` and `assistant_id` are the client's to set before a graph has run, and the server's from then on.
RESERVED = frozenset(["thread_id", "run_id", "cron_id", "user_id", "counters_since_delta_snapshot"])
RESERVED_PREFIXES = ("__", "langgraph_auth_")
#: Values in metadata. They are copied to runs and checkpoints, and indexed for searches.
MOST_METADATA = 10_000


def ensure_few(value: Any, most: int) -> None:
    """Raise ValueError if JSON has more values than `most`, containers among them."""
    waiting, count = [value], 0
    while waiting:
        each = waiting.pop()
        inner = each.values() if isinstance(each, Mapping) else each if isinstance(each, list) else ()
        count += len(inner)
        if count > most:
            raise ValueError(f"must have at most {most} values")
        waiting += [found for found in inner if isinstance(found, Mapping | list)]


def client_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata without the names that are not the client's.

    Raises ValueError for a graph or an assistant that is not named by a string, and for too many values.
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
