"""Which errors mean a lost database, connection or transaction, and not a wrong statement.

The only place that decides this; retries, 503 answers and recovery rely on it.
"""

from __future__ import annotations

import sqlite3

import psycopg
from django import db

#: A refused write: a read-only server after a failover, or a database that is nearly full.
READ_ONLY = "25006"
#: The transaction failed earlier, or the server ended it and its connection by a timeout, for example of a
#: frozen process. psycopg classes them, and `READ_ONLY`, as internal errors.
ENDED = frozenset(["25P02", "25P03", "25P04"])
#: Program limits: psycopg classes them as operational errors, but a row that is too large stays too large.
LIMITS = "54"
#: No room is left on the database's disk.
DISK_FULL = "53100"
#: All database errors, of the drivers and of Django.
OF_DRIVERS = (psycopg.Error, sqlite3.Error, db.DatabaseError, db.InterfaceError)
#: The drivers' and Django's classes of errors that the statement did not cause.
PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    sqlite3.OperationalError,
    db.OperationalError,
    db.InterfaceError,
    TimeoutError,
)


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error, also if Django wrapped it; "" if it has no code."""
    source = error if isinstance(error, psycopg.Error) else error.__cause__
    return getattr(source, "sqlstate", None) or ""


def is_passing(error: BaseException) -> bool:
    """Whether a retry may succeed: in a new connection or transaction, or after an outage."""
    code = sqlstate(error)
    if code.startswith(LIMITS):
        return False
    return isinstance(error, PASSING) or code == READ_ONLY or code in ENDED


def is_full(error: BaseException) -> bool:
    """Whether the database has no room for a write, also if the driver's error is only the cause."""
    source = error if isinstance(error, sqlite3.Error) else error.__cause__
    return sqlstate(error) == DISK_FULL or getattr(source, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
