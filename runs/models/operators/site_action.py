"""What people did with queues, workers and threads."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from threads.db.ids import new_id


class SiteAction(models.Model):
    """What a person did with something other than a run, from where, and why. `RunAction` has those on runs."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    #: `pause` or `resume` (a queue), `drain` (a worker), `delete` (a thread).
    kind = models.CharField(max_length=16)
    #: What it was done with: a queue's name, host:pid of a worker, or a thread's id.
    subject = models.CharField(max_length=255)
    reason = models.TextField(blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    #: The person's name at that time.
    who = models.CharField(max_length=255)
    #: From where: `admin` or `command`.
    origin = models.CharField(max_length=16)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        verbose_name = "action on record"
        verbose_name_plural = "actions on record"

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} by {self.who}"
