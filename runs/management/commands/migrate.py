"""`migrate`, one process at a time: each replica of a deployment may call it when it starts."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.commands import migrate
from django.db import connections

from threads.checkpoints.postgres.storage import connection_string

#: The advisory lock of migrations.
LOCK = 0x6D696772617465
PAUSE = 0.1


@contextmanager
def migrating_alone(alias: str) -> Iterator[None]:
    """Wait until nobody else migrates this database, and keep others waiting meanwhile."""
    database = connections[alias]
    # A server gives up on locks in seconds; a migration waits for them.
    database.settings_dict["OPTIONS"].pop("options", None)
    if database.vendor == "postgresql":
        # A connection of its own: what a migration does to its connection must not free the lock.
        with psycopg.connect(connection_string(database), autocommit=True) as db:
            # Asked again and again: whoever waited in a statement would hold up LangGraph's CREATE INDEX CONCURRENTLY.
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
