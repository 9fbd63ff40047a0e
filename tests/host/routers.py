"""Database routers: the host's own, and one that separates runs from their users."""

from __future__ import annotations

from typing import Any


class Shop:
    """The shop's tables are in a database of their own, all others in the default one."""

    labels: frozenset[str] = frozenset({"shop"})

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "shop" if model._meta.app_label in self.labels else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (app_label in self.labels) == (db == "shop")


class Separating(Shop):
    labels = frozenset({"shop", "threads"})
