"""What a command needs of the database, checked before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor


def require_reachable_database() -> None:
    """Report at once why PostgreSQL cannot be reached: Django's pool waits and gives no reason."""
    if connection.vendor != "postgresql":
        return
    try:
        _connect()
    except psycopg.Error as error:
        raise CommandError(f"The database cannot be reached: {one_line(error)}") from error


def _connect() -> None:
    # Imported here because it needs models, and commands read this module where they are not loaded.
    from threads.checkpoints.postgres.storage import connection_string

    psycopg.connect(connection_string(), connect_timeout=TRY).close()


#: How long a server that starts waits for PostgreSQL, in seconds; between its tries; and for each of them.
PATIENCE, BETWEEN, TRY = 60.0, 1.0, 5
#: What PostgreSQL answers while it starts or stops. Its other refusals, such as a wrong password, stay.
PASSING = ("starting up", "shutting down", "recovery", "too many clients", "connection slots")


def wait_for_database(say: Callable[[str], object]) -> None:
    """Wait until PostgreSQL can be reached, so that a server may start before its database does, or during
    its failover. Raises CommandError if it refuses this client, or after a minute.

    Args:
        say: Gets one sentence if there is anything to wait for.
    """
    if connection.vendor != "postgresql":
        return
    until = time.monotonic() + PATIENCE
    told = False
    while True:
        try:
            _connect()
            return
        except psycopg.Error as error:
            why = one_line(error)
            if not is_passing(why) or time.monotonic() > until:
                raise CommandError(f"The database cannot be reached: {why}") from error
            if not told:
                say(f"The database cannot be reached yet: {why}")
            told = True
        time.sleep(BETWEEN)


def is_passing(why: str) -> bool:
    """Whether a failure to connect may end by itself: everything but a refusal by the server. Pure."""
    return "FATAL" not in why or any(each in why for each in PASSING)


def require_existing_database() -> None:
    """Raise CommandError if the file of the SQLite database is absent; connecting would create an empty one."""
    name = str(connection.settings_dict["NAME"])
    in_memory = name.startswith("file:") or ":memory:" in name
    if connection.vendor == "sqlite" and not in_memory and not Path(name).exists():
        raise CommandError(f"There is no database {name}: run `python manage.py migrate` first.")


def require_migrated_database() -> None:
    """Raise CommandError if the database is absent, lacks migrations that runs need, or cannot be reached.

    A site may serve before the migrations of its other applications are applied.
    """
    require_existing_database()
    try:
        executor = MigrationExecutor(connection)
        needed = {"runs", "threads", get_user_model()._meta.app_label}
        missing = executor.migration_plan(
            [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] in needed]
        )
    except DatabaseError as error:
        raise CommandError(f"The database cannot be used: {error}".rstrip()) from error
    finally:
        # The event loop will run in this thread, where Django forbids using or closing a connection.
        connections.close_all()
    if missing:
        raise CommandError("The database is not migrated: run `python manage.py migrate` first.")


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
