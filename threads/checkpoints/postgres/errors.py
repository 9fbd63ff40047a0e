"""What PostgreSQL's errors mean for a write: the database will recover, or the rows are wrong."""

from __future__ import annotations

import psycopg

from threads.checkpoints.commits import Refused, Unavailable
from threads.db.errors import is_passing

#: What the database gives up on for the statement's own sake: serialization, deadlock, memory, locks, time.
OF_THE_STATEMENT = frozenset(["40001", "40P01", "53200", "55P03", "57014"])

#: How long a write waits for the lock of a thread's row, in milliseconds. Takeovers hold it for moments; one that is
#: held for longer, by a paused process, say, must hold up its own thread alone.
LOCK_TIMEOUT = 2000


def passing_fault(error: psycopg.Error) -> type[Unavailable] | None:
    """How to treat an error of a write; None when the rows are wrong, and trying again cannot help."""
    if error.sqlstate in OF_THE_STATEMENT:
        return Refused
    return Unavailable if is_passing(error) else None
