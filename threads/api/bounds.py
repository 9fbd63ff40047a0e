"""A time limit for queries that cannot use an index."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection, transaction
from ninja.errors import HttpError

from threads.db.errors import sqlstate

#: PostgreSQL's code of a cancelled statement, and the number of steps between SQLite's checks of the clock.
CANCELED, STEPS = "57014", 1000


@contextmanager
def bounded(seconds: float, *, advice: str) -> Iterator[None]:
    """Cancel queries in the block after this time, and answer 422 with advice on an alternative."""
    try:
        with _on_postgresql(seconds) if connection.vendor == "postgresql" else _on_sqlite(seconds):
            yield
    except DatabaseError as error:
        if sqlstate(error) != CANCELED and "interrupted" not in str(error):
            raise
        raise HttpError(422, f"The search was stopped after {seconds:g} s. {advice}") from error


@contextmanager
def _on_postgresql(seconds: float) -> Iterator[None]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{seconds * 1000:.0f}ms"])
        yield


@contextmanager
def _on_sqlite(seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    deadline = time.monotonic() + seconds
    connection.connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        yield
    finally:
        connection.connection.set_progress_handler(None, 0)
