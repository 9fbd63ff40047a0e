"""Classifies PostgreSQL's errors of a write: the database will recover, or the rows are wrong."""

from __future__ import annotations

import psycopg

from threads.checkpoints.commits import Refused, Unavailable
from threads.db.errors import is_passing

#: Errors that abort a single statement or transaction: serialization, deadlock, memory, locks, time.
OF_THE_STATEMENT = frozenset(["40001", "40P01", "53200", "55P03", "57014"])

#: How long a write waits for the lock of a thread's row, in milliseconds. Takeovers hold it for moments. One
#: that is held longer, for example by a paused process, must delay only its own thread.
LOCK_TIMEOUT = 2000


def passing_fault(error: psycopg.Error) -> type[Unavailable] | None:
    """How to treat an error of a write; None if the rows are wrong and a retry cannot help."""
    if error.sqlstate in OF_THE_STATEMENT:
        return Refused
    return Unavailable if is_passing(error) else None
