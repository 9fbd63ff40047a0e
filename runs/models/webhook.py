"""The outbox of webhooks."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from threads.db.fields import TextJSONField
from threads.db.ids import new_id


class DeliveryState(models.TextChoices):
    #: To be sent, or sent again, at `due_at`.
    PENDING = "pending"
    #: The receiver confirmed it.
    DELIVERED = "delivered"
    #: Abandoned: refused permanently, or tried too often.
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """The notification of one run's end to one URL.

    A sender first moves `due_at` further into the future than sending takes: that is its lease. If
    the sender dies, the delivery becomes due again. A sender writes its result only if `attempts`
    still has the value that it set.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    #: No foreign keys, because a rolled-back run is deleted before this is sent, and so may a stateless run's
    #: thread be.
    run_id = models.UUIDField(db_index=True)
    thread_id = models.UUIDField(db_index=True)
    url = models.TextField()
    #: The URL's host and port, because a host that does not answer must not delay others.
    host = models.CharField(max_length=300)
    #: The body without the time of sending; None once it was delivered.
    payload = TextJSONField(null=True)
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.PENDING)
    #: How many attempts to send it were started.
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    #: When it was delivered or abandoned.
    finished_at = models.DateTimeField(null=True)
    #: The status of the receiver's last response; None if there was none.
    status_code = models.PositiveSmallIntegerField(null=True)
    #: Why the last attempt failed.
    last_error = models.TextField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(state="pending"), name="runs_webhooks_due"),
            models.Index(
                fields=["finished_at"], condition=Q(finished_at__isnull=False), name="runs_webhooks_finished"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="runs_webhook_state_known"
            )
        ]

    def __str__(self) -> str:
        return str(self.id)
