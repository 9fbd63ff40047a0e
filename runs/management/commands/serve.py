"""`manage.py serve`: the whole site on Daphne, with recovery at the start and a drain at the end."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor


def port_number(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a port number: use 0 to 65535, 0 for any free port.")


def require_migrated_database() -> None:
    """Refuse to go on with a database that lacks migrations, or that cannot be reached."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CommandError(f"The database cannot be used: {error}".rstrip()) from error
    finally:
        # The event loop will run in this thread, where Django forbids to use or close a connection.
        connections.close_all()
    if missing:
        raise CommandError("The database is not migrated: run `python manage.py migrate` first.")


class Command(BaseCommand):
    help = "Serve the site, its API and its websockets, and execute runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="Address to listen on (default: %(default)s)."
        )
        parser.add_argument(
            "--port", type=port_number, default=8000, help="Port to listen on (default: %(default)s)."
        )
        parser.add_argument(
            "--no-execute", dest="execute", action="store_false", help="Leave the runs to other processes."
        )

    def handle(self, *, host: str, port: int, execute: bool, **options: Any) -> None:
        require_migrated_database()
        # Not above: importing Daphne installs its event loop, also for commands that only look for this one.
        from deerflow_site.asgi import application
        from deerflow_site.lifespan import lifespan
        from deerflow_site.server import Server

        lifespan.execute = execute
        try:
            Server(application, lifespan, host=host, port=port).run()
        except Exception as error:
            raise CommandError(
                str(error) or repr(error), returncode=getattr(error, "exit_code", 1)
            ) from error
        if lifespan.exit_code:
            sys.exit(lifespan.exit_code)
