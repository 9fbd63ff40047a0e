"""Users who are being deleted."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Erasure(models.Model):
    """The deletion of a user, which was asked for and is not finished; its row goes with the user's.

    The user is not active meanwhile. A deletion that was cut off is continued by the sweep. A user who
    is made active again is no longer deleted.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    #: The person who asked; None for a command, and when that user is gone.
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    #: The person's name at that time, and from where: `admin` or `command`.
    who = models.CharField(max_length=255)
    origin = models.CharField(max_length=16)
    asked_at = models.DateTimeField()
    #: When a process last worked on it, accurate to `runs.retention.erasures.TOUCH`.
    touched_at = models.DateTimeField()
    #: Why it could not go on, in a sentence; "" while it proceeds.
    why = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Deletion of {self.user_id}, asked for by {self.who}"
