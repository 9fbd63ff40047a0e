"""Threads as clients see them (wire protocol §5)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from threads.models import Thread
from threads.redaction import redacted


def timestamp(moment: datetime) -> str:
    """UTC, always with microseconds."""
    return moment.isoformat(timespec="microseconds")


#: Each field's name, the column that it needs, and its value.
THREAD_FIELDS: dict[str, tuple[str, Callable[[Thread], Any]]] = {
    "thread_id": ("id", lambda thread: str(thread.id)),
    "created_at": ("created_at", lambda thread: timestamp(thread.created_at)),
    "updated_at": ("updated_at", lambda thread: timestamp(thread.updated_at)),
    "state_updated_at": ("state_updated_at", lambda thread: timestamp(thread.state_updated_at)),
    "metadata": ("metadata", lambda thread: thread.metadata),
    "status": ("status", lambda thread: thread.status),
    "config": ("config", lambda thread: redacted(thread.config)),
    "values": ("values", lambda thread: thread.values),
    "error": ("error", lambda thread: thread.error),
    "interrupts": ("interrupts", lambda thread: thread.interrupts),
}
#: Fields that only threads with an executed run have.
LATER = ("error", "interrupts")


def thread_columns(select: Collection[str] | None = None) -> list[str]:
    """The columns that `thread_json` needs."""
    fields = [column for name, (column, _) in THREAD_FIELDS.items() if not select or name in select]
    return ["epoch", *fields]


def thread_json(thread: Thread, select: Collection[str] | None = None) -> dict[str, Any]:
    """A thread, or its selected fields.

    Before its first run it has no `error` and no `interrupts`, unless they are selected.
    """
    return {
        name: show(thread)
        for name, (_, show) in THREAD_FIELDS.items()
        if (not select or name in select) and (select or thread.epoch or name not in LATER)
    }


def ttl_json(thread: Thread) -> dict[str, Any] | None:
    """How long a thread is kept; None if it never expires.

    After its expiry it needs new activity to expire again.
    """
    minutes = thread.ttl_minutes
    if minutes is None:
        return None
    return {
        "strategy": thread.ttl_strategy,
        "ttl_minutes": int(minutes) if minutes.is_integer() else minutes,
        "expires_at": timestamp(thread.expires_at) if thread.expires_at else None,
    }
