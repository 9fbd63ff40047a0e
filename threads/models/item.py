"""The table of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q

from threads.db.fields import TextJSONField
from threads.db.namespaces import below, decode
from threads.filters import belonging

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from threads.models.querysets import Principal

    PlainTextField = models.TextField[str, str]
else:
    PlainTextField = models.TextField


class BytewiseTextField(PlainTextField):
    """Text compared byte by byte, independent of the database's collation: a prefix is a range.

    SQLite compares so by default.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        collation = "C" if connection.vendor == "postgresql" else None
        return {**super().db_parameters(connection), "collation": collation}


class StoreItemQuerySet(models.QuerySet["StoreItem"]):
    def for_principal(self, principal: Principal) -> StoreItemQuerySet:
        """Only this principal's items; the only access to items."""
        return self.filter(belonging(principal, "store", None))

    def live(self, now: datetime) -> StoreItemQuerySet:
        """Without expired items that are not yet removed."""
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))

    def below(self, prefix: Sequence[str]) -> StoreItemQuerySet:
        """Items whose namespaces begin with these labels."""
        bounds = below(prefix)
        return self if bounds is None else self.filter(namespace__gte=bounds[0], namespace__lt=bounds[1])


class StoreItem(models.Model):
    """A JSON object that a user's graphs or clients keep under a namespace and a key, beyond any thread."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    #: Encoded (`threads.store.namespaces`).
    namespace = BytewiseTextField()
    key = BytewiseTextField()
    value = TextJSONField(default=dict)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    #: How long it is kept after a put, or a read with refresh, in minutes; None if it never expires.
    ttl_minutes = models.FloatField(null=True)
    expires_at = models.DateTimeField(null=True)
    #: The embedding that made the vectors; those of another one are not comparable.
    embedding = models.CharField(max_length=255, default="")
    #: Packed (`threads.store.vectors`). The last column, so that reads of the others need not pass over it.
    vectors = models.BinaryField(default=b"")

    objects = StoreItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "namespace", "key"], name="store_items_by_key"),
        ]
        indexes = [
            # For a store that users share (`threads.filters.shares`).
            models.Index(fields=["namespace", "key"], name="store_items_by_place"),
            models.Index(fields=["user", "-updated_at", "-id"], name="store_items_by_age"),
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False), name="store_items_expiring"
            ),
        ]

    def __str__(self) -> str:
        return "/".join((*decode(self.namespace), self.key))
