"""Paused queues."""

from __future__ import annotations

from django.db import models


class PausedQueue(models.Model):
    """A queue whose runs no worker claims. It is resumed by deleting the row."""

    name = models.CharField(max_length=64, primary_key=True)
    paused_at = models.DateTimeField()
    #: Why, for the people who look at the queue.
    reason = models.CharField(max_length=255, blank=True, default="")
    #: Who paused it, by the name at that time, and from where: `admin` or `command`.
    who = models.CharField(max_length=255, blank=True, default="")
    origin = models.CharField(max_length=16, blank=True, default="")

    class Meta:
        default_permissions = ("view",)
        verbose_name = "queue"

    def __str__(self) -> str:
        return self.name
