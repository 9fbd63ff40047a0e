"""`manage.py serve`: the whole site on Daphne, with recovery at the start and a drain at the end."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from runs.management.arguments import (
    add_worker_arguments,
    port_number,
    site_application,
    warn_of_empty_queues,
)
from runs.management.databases import require_migrated_database, wait_for_database
from runs.process.options import WorkerOptions


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
            "--no-execute",
            dest="execute",
            action="store_false",
            help="Execute no runs; leave them to other processes.",
        )
        add_worker_arguments(parser)

    def handle(self, *, host: str, port: int, execute: bool, **options: Any) -> None:
        if not execute and (options["concurrency"] or options["queues"]):
            raise CommandError("--no-execute executes no runs: leave out --concurrency and --queues.")
        wait_for_database(self.stderr.write)
        require_migrated_database()
        warn_of_empty_queues(self, options["queues"])
        # Not above: importing Daphne installs its event loop, also when Django only lists the commands.
        from runs.server.daphne import Server
        from runs.server.lifespan import lifespan

        application = site_application()
        lifespan.execute = execute
        lifespan.options = WorkerOptions(concurrency=options["concurrency"], queues=options["queues"])
        try:
            Server(application, lifespan, host=host, port=port).run()
        except Exception as error:
            raise CommandError(
                str(error) or repr(error), returncode=getattr(error, "exit_code", 1)
            ) from error
        if lifespan.exit_code:
            sys.exit(lifespan.exit_code)
