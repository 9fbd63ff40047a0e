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
    #: The receiver said that it has it.
    DELIVERED = "delivered"
    #: Given up: refused for good, or tried too often.
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """What one run's end has to tell to one URL.

    Whoever sends it puts `due_at` off first, for longer than sending takes: that is its lease. If it dies, the delivery is
    due again. It writes down what came of it only if `attempts` is still what it made it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    #: No foreign keys: a rolled-back run is gone when this is sent, and so may a stateless run's thread be.
    run_id = models.UUIDField(db_index=True)
    thread_id = models.UUIDField(db_index=True)
    url = models.TextField()
    #: Its host and port: one that does not answer must not hold up the others.
    host = models.CharField(max_length=300)
    #: The body without the time of its sending; None once it was delivered.
    payload = TextJSONField(null=True)
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.PENDING)
    #: How often it was begun to be sent.
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    #: When it was delivered or given up.
    finished_at = models.DateTimeField(null=True)
    #: The receiver's last answer; None if there was none.
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
