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

from threads.checkpoints.postgres.storage import connection_string

#: The advisory lock of migrations.
LOCK = 0x6D696772617465
PAUSE = 0.1


@contextmanager
def migrating_alone(alias: str) -> Iterator[None]:
    """Hold the database's lock of migrations, for which other processes wait.

    Only for the database of the runs; a site's other databases are migrated as without this command.
    """
    database = connections[alias]
    if alias != DEFAULT_DB_ALIAS or database.vendor not in ("postgresql", "sqlite"):
        yield
        return
    # Removes `lock_timeout`: a server gives up on locks within seconds, but a migration waits for them.
    database.settings_dict["OPTIONS"].pop("options", None)
    if database.vendor == "postgresql":
        # A separate connection: a migration may close its own, which would release the lock.
        with psycopg.connect(connection_string(database), autocommit=True) as db:
            # Polled, because a waiting statement would block LangGraph's CREATE INDEX CONCURRENTLY.
            while db.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
                time.sleep(PAUSE)
            yield
        return
    path = Path(f"{database.settings_dict['NAME']}.migrate")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with migrating_alone(options["database"]):
            super().handle(*args, **options)
