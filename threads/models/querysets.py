"""The vocabulary of queries on threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from django.db import models

from threads.filters import narrowing

if TYPE_CHECKING:
    from threads.models.thread import Thread  # noqa: F401 - named in the strings below


class Principal(Protocol):
    """Whoever asks: one user of the site."""

    @property
    def user_id(self) -> int: ...


class ThreadQuerySet(models.QuerySet["Thread"]):
    def for_principal(self, principal: Principal) -> ThreadQuerySet:
        """Only what belongs to this principal; the one way from a request to a thread."""
        return self.filter(narrowing(principal, "threads"), user_id=principal.user_id)

    def visible(self) -> ThreadQuerySet:
        """Without those of finished stateless runs, which wait for their removal."""
        return self.filter(discarded_at__isnull=True)

    def stale(self) -> ThreadQuerySet:
        """Those whose values lag behind their checkpoints while nothing runs."""
        return self.visible().filter(stale_since__isnull=False).exclude(status="busy")

    def locked(self) -> ThreadQuerySet:
        """Lock the rows until the transaction ends, after every writer of the present epoch has committed.

        On PostgreSQL `FOR UPDATE` waits for the `FOR KEY SHARE` of checkpoint and event writes in flight.
        SQLite's `BEGIN IMMEDIATE` has already locked the whole database.
        """
        return self.select_for_update(of=("self",))
