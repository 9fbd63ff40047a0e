"""Crons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q

from threads.db.fields import TextJSONField
from threads.db.ids import new_id
from threads.filters import belonging, narrowing
from threads.models import Thread
from threads.models.querysets import Principal

if TYPE_CHECKING:
    from datetime import datetime


class CronQuerySet(models.QuerySet["Cron"]):
    def for_principal(self, principal: Principal) -> CronQuerySet:
        """Only the principal's crons; requests reach crons only through this method."""
        on_threads = narrowing(principal, "threads", "thread__metadata")
        if on_threads:
            on_threads |= Q(thread__isnull=True)
        return self.filter(belonging(principal, "crons"), on_threads)

    def scheduled(self) -> CronQuerySet:
        """Crons that will fire."""
        return self.filter(enabled=True, next_run_date__isnull=False)

    def due(self, now: datetime) -> CronQuerySet:
        return self.scheduled().filter(next_run_date__lte=now)


class Cron(models.Model):
    """A schedule, and the run that it creates.

    Only `next_run_date` decides whether it is due. The process that fires it creates the run and
    sets the next date in one transaction, under a lock of this row.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    assistant = models.ForeignKey("runs.Assistant", on_delete=models.CASCADE, related_name="+")
    #: None for a cron whose runs each have a new thread.
    thread = models.ForeignKey(Thread, null=True, on_delete=models.CASCADE, related_name="+")
    #: Minute, hour, day of the month, month, day of the week.
    schedule = models.CharField(max_length=255)
    #: The IANA name of the schedule's time zone; None for UTC.
    timezone = models.CharField(max_length=64, null=True)
    #: Not fired after this time.
    end_time = models.DateTimeField(null=True)
    enabled = models.BooleanField(default=True)
    #: What happens to the new thread of a run when the run completes: `delete` or `keep`; None for a cron on
    #: a thread.
    on_run_completed = models.CharField(max_length=6, null=True)
    #: The body that the client sent, with later changes.
    payload = TextJSONField(default=dict)
    metadata = models.JSONField(default=dict)
    #: None when the schedule has no more times, or none before `end_time`.
    next_run_date = models.DateTimeField(null=True)
    #: When it was last due, even if that created no run; and the last run that it created.
    last_fired_at = models.DateTimeField(null=True)
    last_run_id = models.UUIDField(null=True)
    #: Why it created no run when it was last due.
    last_error = models.TextField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = CronQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["next_run_date", "id"],
                condition=Q(enabled=True, next_run_date__isnull=False),
                name="runs_crons_due",
            ),
            models.Index(fields=["user", "-created_at"], name="runs_crons_by_user"),
        ]

    def __str__(self) -> str:
        return str(self.id)
