"""Bounded waits for other transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection, transaction

from runs.exceptions import ThreadLocked
from threads.db.errors import sqlstate

#: PostgreSQL's code of a lock that was not available in time.
NOT_AVAILABLE = "55P03"


@contextmanager
def bounded_locks(seconds: float) -> Iterator[None]:
    """Wait for locks of other transactions at most so long, and leave the caller's limit as it was.

    Raises ThreadLocked. On SQLite the transaction has locked the whole database.
    """
    if connection.vendor != "postgresql":
        yield
        return
    try:
        # An error rolls this savepoint back, with the setting.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            [before] = cursor.fetchone()
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(seconds * 1000)}ms"])
            yield
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
    except OperationalError as error:
        if sqlstate(error) != NOT_AVAILABLE:
            raise
        raise ThreadLocked from error
