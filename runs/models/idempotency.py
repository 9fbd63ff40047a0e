"""The keys by which clients repeat a creating request safely."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from threads.db.fields import TextJSONField


class IdempotencyKey(models.Model):
    """One `Idempotency-Key` of a user, and what its request created.

    The row is written in the transaction that creates, so it exists exactly if the objects do.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.CharField(max_length=255)
    #: SHA-256 of the request: its method, its path and its body.
    digest = models.CharField(max_length=64)
    #: The ids of the created objects.
    ids = TextJSONField(default=list)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="runs_idempotency_keys")]

    def __str__(self) -> str:
        return self.key
