"""The site as an application, for its templates and for the project's own ASGI application."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "deerflow_site"

    def ready(self) -> None:
        # Imported here because Django imports this module before models can be imported.
        from deerflow_site.http import custom
        from runs.process import startup

        startup.on_open(custom.lifespan)
