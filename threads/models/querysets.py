"""Queries on threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from django.db import models

from threads.db.ids import UserId
from threads.filters import belonging

if TYPE_CHECKING:
    from threads.models.thread import Thread  # noqa: F401 - named in the strings below


class Principal(Protocol):
    """The requester: one user of the site, who may share rows with others (`threads.filters.belonging`)."""

    @property
    def user_id(self) -> UserId: ...


class ThreadQuerySet(models.QuerySet["Thread"]):
    def for_principal(self, principal: Principal) -> ThreadQuerySet:
        """Only this principal's threads; the only access from a request to a thread."""
        return self.filter(belonging(principal, "threads"))

    def visible(self) -> ThreadQuerySet:
        """Without threads of finished stateless runs that are not yet removed."""
        return self.filter(discarded_at__isnull=True)

    def stale(self) -> ThreadQuerySet:
        """Threads without active runs whose values lag behind their checkpoints."""
        return self.visible().filter(stale_since__isnull=False).exclude(status="busy")

    def locked(self) -> ThreadQuerySet:
        """Lock the rows until the transaction ends, after all writers of the epoch have committed.

        On PostgreSQL `FOR UPDATE` waits for the `FOR KEY SHARE` of checkpoint and event writes in
        flight. SQLite's `BEGIN IMMEDIATE` has already locked the whole database.
        """
        return self.select_for_update(of=("self",))
