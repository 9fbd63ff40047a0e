"""The size of a thread's checkpoints."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import connection

from threads.db.time_limits import interruptible

SIZE = "count(*), coalesce(sum({bytes}), 0)"
POSTGRES = {
    "checkpoints": f"SELECT {SIZE.format(bytes='octet_length(checkpoint::text) + octet_length(metadata::text)')} "
    "FROM checkpoints WHERE thread_id = %s",
    "writes": f"SELECT {SIZE.format(bytes='octet_length(blob)')} FROM checkpoint_writes WHERE thread_id = %s",
    "channels": f"SELECT channel, {SIZE.format(bytes='octet_length(blob)')} FROM checkpoint_blobs "
    "WHERE thread_id = %s GROUP BY channel ORDER BY channel",
}
SQLITE = {
    "checkpoints": f"SELECT {SIZE.format(bytes='length(checkpoint) + length(metadata)')} "
    "FROM checkpoints WHERE thread_id = ?",
    "writes": f"SELECT {SIZE.format(bytes='length(value)')} FROM writes WHERE thread_id = ?",
}

#: Executes one of the queries for the thread.
Ask = Callable[[str], list[Any]]


def measure(thread_id: UUID, *, file: str | Path) -> dict[str, Any]:
    """Counts and encoded bytes of a thread's checkpoints, channel values and pending writes.

    Args:
        file: The checkpoints' file, used on SQLite, where channels have no rows of their own.
    """
    thread = str(thread_id)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:

            def ask(name: str) -> list[Any]:
                cursor.execute(POSTGRES[name], [thread])
                return list(cursor.fetchall())

            return _measured(ask)
    if not Path(file).exists():
        return _measured(lambda name: [] if name == "channels" else [(0, 0)])
    with closing(sqlite3.connect(file, timeout=30)) as db, interruptible(db):
        return _measured(lambda name: db.execute(SQLITE[name], [thread]).fetchall() if name in SQLITE else [])


def _measured(ask: Ask) -> dict[str, Any]:
    [(checkpoints, checkpoint_bytes)] = ask("checkpoints")
    [(writes, write_bytes)] = ask("writes")
    channels = {name: {"versions": count, "bytes": int(size)} for name, count, size in ask("channels")}
    values = sum(each["bytes"] for each in channels.values())
    return {
        "total_bytes": int(checkpoint_bytes) + values + int(write_bytes),
        "checkpoints": {"count": checkpoints, "bytes": int(checkpoint_bytes)},
        "channel_values": {
            "count": sum(each["versions"] for each in channels.values()),
            "bytes": values,
            "by_channel": channels,
        },
        "pending_writes": {"count": writes, "bytes": int(write_bytes)},
    }
