"""`manage.py run_worker`: a process that executes runs and serves only a health endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from runs.management.arguments import (
    add_worker_arguments,
    port_number,
    positive,
    seconds,
    warn_of_empty_queues,
)
from runs.management.databases import require_migrated_database, wait_for_database
from runs.process.options import WorkerOptions


class Command(BaseCommand):
    help = (
        "Execute runs without serving the site. On PostgreSQL, any number of workers may run on any machines."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_worker_arguments(parser)
        parser.add_argument(
            "--drain-seconds",
            type=seconds,
            metavar="S",
            help="Maximum duration of the shutdown (default: the setting).",
        )
        parser.add_argument(
            "--max-runs",
            type=positive,
            metavar="N",
            help="Stop after this many runs, so that a fresh process can replace this one.",
        )
        parser.add_argument(
            "--health-host",
            default="127.0.0.1",
            help="Address of the health endpoint (default: %(default)s).",
        )
        parser.add_argument(
            "--health-port", type=port_number, default=0, help="Its port (default: any free one)."
        )

    def handle(self, *, health_host: str, health_port: int, **options: Any) -> None:
        wait_for_database(self.stderr.write)
        require_migrated_database()
        warn_of_empty_queues(self, options["queues"])
        # Not above, because listing the commands does not need it.
        from runs.server.lifespan import exit_anyway, lifespan

        names = ("concurrency", "queues", "drain_seconds", "max_runs")
        lifespan.options = WorkerOptions(**{name: options[name] for name in names})
        # Not `asyncio.run`, because it would wait for the threads of abandoned nodes.
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._work(lifespan, host=health_host, port=health_port))
        except Exception as error:
            raise CommandError(
                str(error) or repr(error), returncode=getattr(error, "exit_code", 1)
            ) from error
        exit_anyway(lifespan.exit_code)
        sys.exit(lifespan.exit_code)

    async def _work(self, lifespan: Any, *, host: str, port: int) -> None:
        # Not above: these import the graphs, which the command's help does not need.
        from runs.process.current import current
        from runs.server.lifespan import STOP_SIGNALS, Stopped
        from runs.worker.health import health_endpoint, worker_health
        from runs.worker.manager import RunManager

        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, lifespan.signalled)
        with contextlib.suppress(Stopped):
            await lifespan.startup()
            manager = current().manager
            assert isinstance(manager, RunManager)
            enough = asyncio.create_task(manager.enough.wait())
            enough.add_done_callback(lambda task: task.cancelled() or lifespan.begin_drain())
            try:
                async with health_endpoint(lambda: worker_health(manager), host=host, port=port) as bound:
                    shown = f"[{host}]" if ":" in host else host
                    self.stdout.write(f"Health on http://{shown}:{bound}/ok")
                    self.stdout.flush()
                    await lifespan.ended()
            finally:
                enough.cancel()
                await lifespan.shutdown()
