"""The shop listens to runs."""

from __future__ import annotations

from django.apps import AppConfig


class Shop(AppConfig):
    name = "tests.host.shop"

    def ready(self) -> None:
        from tests.host.shop import receivers  # noqa: F401
