"""Conversations."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from threads.db.fields import TextJSONField
from threads.db.ids import new_id
from threads.models.querysets import ThreadQuerySet


class ThreadStatus(models.TextChoices):
    #: Nothing runs, and nothing is asked.
    IDLE = "idle"
    #: A run is pending or running.
    BUSY = "busy"
    #: The last run stopped at a question or a breakpoint; the graph has steps left.
    INTERRUPTED = "interrupted"
    #: The last run ended in an error.
    ERROR = "error"


class TtlStrategy(models.TextChoices):
    """What is done with a thread that has expired."""

    #: Delete it, with its runs and its state.
    DELETE = "delete"
    #: Keep it and its present state, and delete the checkpoints of its past.
    KEEP_LATEST = "keep_latest"


class Thread(models.Model):
    """A conversation: it owns checkpoints, and at most one run executes on it at a time.

    `epoch` is its fencing number. It grows each time a writer takes the thread over, under a lock of this row,
    and every write to the thread's checkpoints and events checks it in the same transaction.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    status = models.CharField(max_length=11, choices=ThreadStatus, default=ThreadStatus.IDLE)
    #: What the last run that executed has left: the status once nothing is in flight.
    resting_status = models.CharField(
        max_length=11, choices=ThreadStatus, default=ThreadStatus.IDLE, db_default=ThreadStatus.IDLE
    )
    metadata = models.JSONField(default=dict)
    config = TextJSONField(default=dict)
    #: The state's values at the last checkpoint that a finished run left.
    values = TextJSONField(null=True)
    #: Since when the checkpoints have gone on without `values`: a run ended that nobody could read (`runs.states.refresh`).
    stale_since = models.DateTimeField(null=True)
    #: Questions waiting for an answer: {task id: [{"id", "value"}, …]}.
    interrupts = TextJSONField(default=dict)
    #: {"error": class, "message": …} when the last run failed.
    error = TextJSONField(null=True)
    epoch = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    #: When `values` last changed.
    state_updated_at = models.DateTimeField()
    #: When a stateless run ended here: nobody sees the thread since then, and the sweep removes it a little later,
    #: so that a reader of the run who reconnects still finds its last events.
    #: Also set when it expired; what is left of it is removed from then on, in pieces.
    discarded_at = models.DateTimeField(null=True)
    #: How long it is kept after the last thing that happened on it, in minutes; None for ever (`threads.expiry`).
    ttl_minutes = models.FloatField(null=True)
    ttl_strategy = models.CharField(max_length=11, choices=TtlStrategy, null=True)
    #: None also after `keep_latest` was done, until something happens again.
    expires_at = models.DateTimeField(null=True)

    objects = ThreadQuerySet.as_manager()

    class Meta:
        indexes = [
            # On SQLite also with the metadata, and one more by the last change (migration 0008).
            models.Index(
                fields=["user", "-created_at", "-id"],
                condition=models.Q(discarded_at__isnull=True),
                name="threads_by_user",
            ),
            models.Index(
                fields=["discarded_at"],
                condition=models.Q(discarded_at__isnull=False),
                name="threads_discarded",
            ),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False),
                name="threads_expiring",
            ),
            models.Index(
                fields=["stale_since"],
                condition=models.Q(stale_since__isnull=False),
                name="threads_stale",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=ThreadStatus.values), name="threads_status_known"
            )
        ]

    def __str__(self) -> str:
        return str(self.id)
