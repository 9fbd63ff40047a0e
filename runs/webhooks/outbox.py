"""The outbox's rows: claimed and concluded by the sender, and removed when they are old."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from runs.conf import settings
from runs.deletion import Step, turn
from runs.models import DeliveryState, WebhookDelivery
from threads.db import clock
from threads.db.ids import UserId
from threads.db.values.text import storable

#: Pause before the second attempt, in seconds; the factor for each further pause; the longest pause; and the
#: random variation, so that a recovering receiver does not get all deliveries at once.
FIRST_PAUSE, FACTOR, LONGEST_PAUSE, JITTER = 5.0, 3.0, 8 * 3600.0, 0.2
#: How long after its timeout a claimed delivery stays reserved for its sender, in seconds.
MARGIN = 10.0
#: Maximum rows that one transaction removes.
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an attempt."""

    #: The status of the receiver's response; None without a response.
    status_code: int | None = None
    #: Why it failed; None when it was delivered.
    error: str | None = None
    #: Whether a further attempt would fail the same way.
    final: bool = False


# --- sending


@dataclass(frozen=True, slots=True)
class Avoid:
    """The hosts and the users whose concurrent deliveries are as many as they may be."""

    hosts: Collection[str] = ()
    users: Collection[UserId] = ()

    def others(self) -> QuerySet[WebhookDelivery]:
        """The pending deliveries of the others."""
        pending = WebhookDelivery.objects.filter(state=DeliveryState.PENDING)
        return pending.exclude(host__in=self.hosts).exclude(user_id__in=self.users)


def claim(*, limit: int, avoid: Avoid) -> list[WebhookDelivery]:
    """Claim due deliveries, oldest first, each for the maximum time of an attempt."""
    now = clock.now()
    due = avoid.others().filter(due_at__lte=now)
    # A query without a lock comes first: on SQLite, even an empty transaction blocks writers.
    if limit <= 0 or not due.exists():
        return []
    with transaction.atomic():
        rows = due.order_by("due_at", "id").select_for_update(skip_locked=True)
        claimed = list(rows[:limit])
        WebhookDelivery.objects.filter(id__in=[each.id for each in claimed]).update(
            attempts=F("attempts") + 1,
            due_at=now + timedelta(seconds=settings.WEBHOOK_TIMEOUT + MARGIN),
        )
    for each in claimed:
        each.attempts += 1
    return claimed


def give_back(deliveries: Collection[WebhookDelivery]) -> None:
    """Make interrupted deliveries due at once, unless they were concluded meanwhile."""
    now = clock.now()
    for each in deliveries:
        mine = WebhookDelivery.objects.filter(
            id=each.id, state=DeliveryState.PENDING, attempts=each.attempts, due_at__gt=now
        )
        mine.update(due_at=now)


def next_due(*, avoid: Avoid) -> datetime | None:
    """When the next delivery is due; None if there is none."""
    return avoid.others().order_by("due_at").values_list("due_at", flat=True).first()


def conclude(delivery: WebhookDelivery, result: Result) -> bool:
    """Store an attempt's result; return False if another process has claimed the delivery since."""
    now = clock.now()
    failed = None if result.error is None else storable(result.error)
    changes: dict[str, Any] = {"status_code": result.status_code, "last_error": failed}
    if result.error is None:
        # The payload is no longer needed after its delivery.
        changes |= {"state": DeliveryState.DELIVERED, "finished_at": now, "payload": None}
    elif result.final or delivery.attempts >= settings.WEBHOOK_ATTEMPTS:
        changes |= {"state": DeliveryState.FAILED, "finished_at": now}
    else:
        changes["due_at"] = now + timedelta(seconds=pause_after(delivery.attempts))
    mine = WebhookDelivery.objects.filter(
        id=delivery.id, state=DeliveryState.PENDING, attempts=delivery.attempts
    )
    return mine.update(**changes) == 1


def pause_after(attempts: int) -> float:
    """The pause after a number of failed attempts, in seconds."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * FACTOR ** (attempts - 1))
    return pause * random.uniform(1 - JITTER, 1 + JITTER)


def try_again(deliveries: QuerySet[WebhookDelivery]) -> int:
    """Make failed deliveries pending, with a new count of attempts; return how many."""
    failed = deliveries.filter(state=DeliveryState.FAILED)
    return failed.update(state=DeliveryState.PENDING, attempts=0, due_at=clock.now(), finished_at=None)


# --- removing


def old(before: datetime) -> QuerySet[WebhookDelivery]:
    """Deliveries that ended before a time."""
    return WebhookDelivery.objects.filter(finished_at__lt=before)


def removal(before: datetime) -> Iterator[Step]:
    """Remove deliveries that ended before a time; each `next` is one transaction."""
    while ids := list(old(before).values_list("id", flat=True)[:BATCH]):
        with turn():
            count, _ = WebhookDelivery.objects.filter(id__in=ids).delete()
        yield "webhooks", count


def forget(thread_ids: Collection[UUID]) -> None:
    """Delete all deliveries of deleted threads, because they contain the threads' values."""
    WebhookDelivery.objects.filter(thread_id__in=thread_ids).delete()
