"""`migrate` in one process at a time, so that each replica may call it at its start."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from threads.checkpoints.postgres.storage import connection_string

#: The advisory lock of migrations.
LOCK = 0x6D696772617465
PAUSE = 0.1
#: A server gives up on locks, and on a transaction that stands still, within seconds. A migration waits, and may
#: compute for long. Of an option that is given twice, the last one counts.
PATIENT = "-c lock_timeout=0 -c idle_in_transaction_session_timeout=0"


@contextmanager
def migrating_alone(alias: str) -> Iterator[None]:
    """Hold the database's lock of migrations, for which other processes wait.

    Only for the database of the runs; a site's other databases are migrated as without this command.
    """
    database = connections[alias]
    if alias == DEFAULT_DB_ALIAS and database.vendor == "postgresql":
        with patient(database), _advisory_lock(database):
            yield
    elif alias == DEFAULT_DB_ALIAS and database.vendor == "sqlite":
        path = Path(f"{database.settings_dict['NAME']}.migrate")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        yield


@contextmanager
def _advisory_lock(database: BaseDatabaseWrapper) -> Iterator[None]:
    # A separate connection: a migration may close its own, which would release the lock.
    with psycopg.connect(connection_string(database), autocommit=True) as db:
        # Polled, because a waiting statement would block LangGraph's CREATE INDEX CONCURRENTLY.
        while db.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
            time.sleep(PAUSE)
        yield


@contextmanager
def patient(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Connect without these limits, but with the site's other options, such as its `search_path`."""
    options = database.settings_dict["OPTIONS"]
    before = options.get("options")
    options["options"] = f"{before or ''} {PATIENT}".strip()
    _reconnect(database)
    try:
        yield
    finally:
        _reconnect(database)
        if before is None:
            del options["options"]
        else:
            options["options"] = before


def _reconnect(database: Any) -> None:
    """Let the options count for the next statement: a connection, and a pool, keep those of their beginning."""
    if not database.in_atomic_block:
        database.close()
        database.close_pool()


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with migrating_alone(options["database"]):
            super().handle(*args, **options)
