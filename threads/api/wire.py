"""Threads as clients see them (wire protocol §5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from threads.models import Thread
from threads.redaction import redacted


def timestamp(moment: datetime) -> str:
    """UTC with microseconds, also when there are none."""
    return moment.isoformat(timespec="microseconds")


def thread_json(thread: Thread) -> dict[str, Any]:
    """A thread; one that nothing has been executed on has no `error` and no `interrupts`."""
    shown: dict[str, Any] = {
        "thread_id": str(thread.id),
        "created_at": timestamp(thread.created_at),
        "updated_at": timestamp(thread.updated_at),
        "state_updated_at": timestamp(thread.state_updated_at),
        "metadata": thread.metadata,
        "status": thread.status,
        "config": redacted(thread.config),
        "values": thread.values,
    }
    if thread.epoch:
        shown |= {"error": thread.error, "interrupts": thread.interrupts}
    return shown


def ttl_json(thread: Thread) -> dict[str, Any] | None:
    """How long a thread is kept; None for ever. It does not expire again before something happens on it."""
    minutes = thread.ttl_minutes
    if minutes is None:
        return None
    return {
        "strategy": thread.ttl_strategy,
        "ttl_minutes": int(minutes) if minutes.is_integer() else minutes,
        "expires_at": timestamp(thread.expires_at) if thread.expires_at else None,
    }
