"""Edits of a thread's state by its user, for the thread's log."""

from __future__ import annotations

from django.db import models


class StateEdit(models.Model):
    """One edit: the checkpoint that it created, and the epoch of the thread that it took.

    The epoch orders it among the events of the thread's runs (`runs.events.thread_log`). Its
    content is read from the checkpoint; once that is pruned, readers get nothing of the edit.
    """

    pk = models.CompositePrimaryKey("thread_id", "epoch")
    thread = models.ForeignKey(
        "threads.Thread", on_delete=models.CASCADE, db_index=False, related_name="edits"
    )
    epoch = models.PositiveBigIntegerField()
    checkpoint_id = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.thread_id} {self.epoch}"
