"""`manage.py runserver`: Django's development server, on the same server as `manage.py serve`."""

from __future__ import annotations

import logging
import os
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.contrib.staticfiles.management.commands import runserver
from django.core.management.base import CommandError

from runs.management.arguments import site_application
from runs.management.databases import require_migrated_database, wait_for_database

logger = logging.getLogger("django.server")


def log_request(protocol: str, action: str, details: dict[str, Any]) -> None:
    if action == "complete":
        status = {"status_code": details["status"]}
        logger.info('"%(method)s %(path)s" %(status)s', details, extra=status)


class DevelopmentServer:
    """This project's server with the interface of `wsgiref`'s, which Django's command uses."""

    def __init__(self, address: tuple[str, int], handler: object, *, ipv6: bool = False) -> None:
        self.host, self.server_port = address

    def set_app(self, application: Any) -> None:
        self.application = application

    def serve_forever(self) -> None:
        # Not above: importing Daphne installs its event loop, also in the reloader's own process.
        from runs.server.daphne import Server
        from runs.server.lifespan import lifespan

        server = Server(
            self.application, lifespan, host=self.host, port=self.server_port, action_logger=log_request
        )
        server.run()


class Command(runserver.Command):
    """With `--noreload` it drains like `serve`.

    With the reloader, the server runs in a daemon thread that ends with the process at each code
    change. No drain is possible there, and the next process recovers the runs.
    """

    server_cls: Any = DevelopmentServer

    def handle(self, *args: Any, **options: Any) -> None:
        wait_for_database(self.stderr.write)
        require_migrated_database()
        super().handle(*args, **{**options, "use_threading": False})

    def get_handler(self, *args: Any, **options: Any) -> Any:
        application = site_application()
        if not apps.is_installed("django.contrib.staticfiles"):
            return application
        wanted = options["use_static_handler"] and (settings.DEBUG or options["insecure_serving"])
        return ASGIStaticFilesHandler(application) if wanted else application

    def on_bind(self, server_port: int) -> None:
        # Replaces Django's message, which is about WSGI. The server itself prints its address when it
        # listens.
        self.stdout.write(
            f"Django {self.get_version()}, settings {settings.SETTINGS_MODULE}. Stop with CONTROL-C."
        )

    def inner_run(self, *args: Any, **options: Any) -> None:
        try:
            super().inner_run(*args, **options)
        except Exception as error:
            if not hasattr(error, "exit_code"):
                raise
            if options["use_reloader"]:
                self.stderr.write(f"Error: {error}")
                os._exit(1)  # never 3, which tells the reloader to start again
            raise CommandError(str(error), returncode=error.exit_code) from error
