"""Actions of operators on many runs at once."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from threads.db.fields import TextJSONField
from threads.db.ids import new_id


class BulkKind(models.TextChoices):
    """What is done with each run; `RunAction.kind` has the same words."""

    CANCEL = "cancel", "Cancel (interrupt)"
    ROLL_BACK = "roll_back", "Cancel and roll back"
    RETRY = "retry", "Retry as new runs"
    REQUEUE = "requeue", "Requeue"
    PRIORITY = "priority", "Set priority"
    RECONCILE = "reconcile", "Reconcile"


class BulkState(models.TextChoices):
    #: A person has confirmed it; no run was handled yet.
    CONFIRMED = "confirmed"
    RUNNING = "running"
    FINISHED = "finished"
    #: A person stopped it; the runs that were left are untouched.
    STOPPED = "stopped"


OPEN = (BulkState.CONFIRMED, BulkState.RUNNING)


class BulkAction(models.Model):
    """One action on all runs that a person confirmed; its `BulkTarget` rows name them.

    The runs are handled in the order of their ids, each in one transaction that holds this row's
    lock and moves `cursor`. So one process at a time works on it, any process may continue it, and
    no run is handled twice.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=16, choices=BulkKind)
    #: Arguments of the action: `priority`.
    arguments = TextJSONField(default=dict)
    reason = models.TextField(blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    #: The person's name at that time, and from where: `admin` or `command`.
    who = models.CharField(max_length=255)
    origin = models.CharField(max_length=16)
    #: How the runs were chosen: the query string of the admin's list, or the search of a command; "" for a
    #: selection of single runs.
    criterion = models.TextField(blank=True)
    state = models.CharField(max_length=9, choices=BulkState, default=BulkState.CONFIRMED)
    #: How many runs were chosen; how many of them were acted on, could not be, and met an unexpected error.
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    #: The last run that was handled.
    cursor = models.UUIDField(null=True)
    #: Why it waits now, in a sentence; "" while it proceeds.
    waits_because = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["id"], condition=Q(ended_at__isnull=True), name="runs_bulk_actions_open")
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=BulkState.values), name="runs_bulk_state_known")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {self.who}"

    @property
    def handled(self) -> int:
        return self.done + self.refused + self.failed


class BulkTarget(models.Model):
    """A run of a bulk action. It is removed once the run was handled, unless it was refused."""

    pk = models.CompositePrimaryKey("bulk_id", "run_id")
    #: No database constraint, which would be checked for each of a million rows.
    bulk = models.ForeignKey(
        BulkAction, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="targets"
    )
    #: No foreign key, because the run may be deleted meanwhile.
    run_id = models.UUIDField()
    #: Why the run was refused, in a sentence; "" before it is handled.
    refusal = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return f"{self.run_id} of {self.bulk_id}"
