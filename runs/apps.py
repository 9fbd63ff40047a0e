"""The application that runs graphs."""

from __future__ import annotations

import sys

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

if sys.platform == "win32":
    # Here because Django imports this module first. Later ones need what only POSIX has, such as file locks.
    raise ImproperlyConfigured("The application `runs` needs Linux or macOS: on Windows, use it in WSL.")


class RunsConfig(AppConfig):
    """Runs and everything that executes them.

    `ready()` must not touch the database: it runs for `migrate` and `--help` too. It registers the
    system checks and the receivers, and registers recovery, which the lifespan executes before the
    first request is served.
    """

    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported here because Django imports this module before models can be imported.
        from runs import receivers  # noqa: F401
        from runs.checks import configuration, exposure, site  # noqa: F401
        from runs.checks import webhooks as webhook_checks  # noqa: F401
        from runs.graphs import watching  # noqa: F401
        from runs.lifecycle.reconcile import recover_at_startup
        from runs.process import startup

        startup.on_startup(recover_at_startup)
