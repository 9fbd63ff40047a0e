"""Which errors say that the database, the connection or the transaction was lost, and not that the statement is wrong.

The one place that knows it: whoever tries again, answers 503, or leaves something to recovery asks here.
"""

from __future__ import annotations

import sqlite3

import psycopg
from django import db

#: A refusal to write: the other side of a failover, or a database that is nearly full.
READ_ONLY = "25006"
#: The transaction failed earlier, or the server ended it and its connection for its time: that of a process that stood
#: still, for one. psycopg files them, and `READ_ONLY`, with the server's internal errors.
ENDED = frozenset(["25P02", "25P03", "25P04"])
#: Program limits: psycopg files them with the faults that pass, but a row too large stays too large.
LIMITS = "54"
#: Every error of a database, the driver's own and Django's.
OF_DRIVERS = (psycopg.Error, sqlite3.Error, db.DatabaseError, db.InterfaceError)
#: How the drivers, and Django for them, name what is not the statement's fault.
PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    sqlite3.OperationalError,
    db.OperationalError,
    db.InterfaceError,
    TimeoutError,
)


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error, also of one that Django wrapped; "" when it has none."""
    source = error if isinstance(error, psycopg.Error) else error.__cause__
    return getattr(source, "sqlstate", None) or ""


def is_passing(error: BaseException) -> bool:
    """Whether the same may succeed later: on a new connection, in a new transaction, or once the database is back."""
    code = sqlstate(error)
    if code.startswith(LIMITS):
        return False
    return isinstance(error, PASSING) or code == READ_ONLY or code in ENDED
