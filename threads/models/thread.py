"""The table of threads."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from threads.db.fields import TextJSONField
from threads.db.ids import new_id
from threads.models.querysets import ThreadQuerySet


class ThreadStatus(models.TextChoices):
    #: No run is active, and no interrupt waits for an answer.
    IDLE = "idle"
    #: A run is pending or running.
    BUSY = "busy"
    #: The last run stopped at an interrupt or a breakpoint; the graph has steps left.
    INTERRUPTED = "interrupted"
    #: The last run ended in an error.
    ERROR = "error"


class TtlStrategy(models.TextChoices):
    """What happens to an expired thread."""

    #: Delete it, with its runs and its state.
    DELETE = "delete"
    #: Keep it and its current state, and delete older checkpoints.
    KEEP_LATEST = "keep_latest"


class Thread(models.Model):
    """A conversation: it owns checkpoints, and at most one run executes on it at a time.

    `epoch` is its fencing number. It grows each time a writer takes the thread over, under a lock of this row,
    and every write to the thread's checkpoints and events checks it in the same transaction.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    status = models.CharField(max_length=11, choices=ThreadStatus, default=ThreadStatus.IDLE)
    #: The status left by the last executed run; it applies when no run is in flight.
    resting_status = models.CharField(
        max_length=11, choices=ThreadStatus, default=ThreadStatus.IDLE, db_default=ThreadStatus.IDLE
    )
    metadata = models.JSONField(default=dict)
    config = TextJSONField(default=dict)
    #: The state's values at the last checkpoint of a finished run.
    values = TextJSONField(null=True)
    #: Since when `values` lag behind the checkpoints, because a run's final state could not be read
    #: (`runs.states.refresh`).
    stale_since = models.DateTimeField(null=True)
    #: How often reading them has begun since then without an end, because a graph may kill the process that
    #: opens it; None for never.
    refreshes = models.SmallIntegerField(null=True)
    #: Interrupts waiting for an answer: {task id: [{"id", "value"}, …]}.
    interrupts = TextJSONField(default=dict)
    #: {"error": class, "message": …} when the last run failed.
    error = TextJSONField(null=True)
    epoch = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    #: When `values` last changed.
    state_updated_at = models.DateTimeField()
    #: Set when a stateless run ended here: the thread is hidden from then on. The sweep removes it a little
    #: later, so that a reader of the run can reconnect and still find its last events. Also set on expiry;
    #: the rest of the thread is then removed in batches.
    discarded_at = models.DateTimeField(null=True)
    #: How long it is kept after its last activity, in minutes; None if it never expires (`threads.expiry`).
    ttl_minutes = models.FloatField(null=True)
    ttl_strategy = models.CharField(max_length=11, choices=TtlStrategy, null=True)
    #: Also None after `keep_latest`, until the next activity.
    expires_at = models.DateTimeField(null=True)

    objects = ThreadQuerySet.as_manager()

    class Meta:
        indexes = [
            # On SQLite this index also has the metadata, and there is another one by the last change
            # (migration 0008).
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
