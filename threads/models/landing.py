"""Rows of checkpoints on their way into the checkpoints' own file, on SQLite."""

from __future__ import annotations

from django.db import models


class Landing(models.Model):
    """What an edit of a thread writes into the file, from its commit until the file has it.

    On PostgreSQL there are none, because checkpoints are in the same database.
    """

    thread = models.ForeignKey("threads.Thread", on_delete=models.CASCADE, related_name="landings")
    #: The rows of each table, as MessagePack (`threads.checkpoints.sqlite.landing`).
    rows = models.BinaryField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.thread_id} {self.pk}"
