"""The outbox's rows: claimed and concluded by whoever sends them, and removed when they are old."""

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

#: Pause before the second attempt, in seconds; each one after is so many times longer, up to the longest, and differs by
#: so much at random, so that receivers that come back are not met by everything at once.
FIRST_PAUSE, FACTOR, LONGEST_PAUSE, JITTER = 5.0, 3.0, 8 * 3600.0, 0.2
#: How much longer than sending may take its sender has the delivery to itself, in seconds.
MARGIN = 10.0
#: Rows that one transaction removes at most.
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt."""

    #: The receiver's answer; None if there was none.
    status_code: int | None = None
    #: Why it failed; None when it was delivered.
    error: str | None = None
    #: Whether it would fail the same way again.
    final: bool = False


# --- sending


def claim(*, limit: int, avoid: Collection[str]) -> list[WebhookDelivery]:
    """Take deliveries that are due, oldest first, each for as long as sending it may take.

    Args:
        avoid: Hosts that have enough to do already.
    """
    now = clock.now()
    due = WebhookDelivery.objects.filter(state=DeliveryState.PENDING, due_at__lte=now).exclude(host__in=avoid)
    # Without a lock first: on SQLite, even an empty transaction keeps writers out.
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
    """Let deliveries whose sending was broken off be sent again at once; those that were concluded meanwhile are not."""
    now = clock.now()
    for each in deliveries:
        mine = WebhookDelivery.objects.filter(
            id=each.id, state=DeliveryState.PENDING, attempts=each.attempts, due_at__gt=now
        )
        mine.update(due_at=now)


def next_due(*, avoid: Collection[str]) -> datetime | None:
    """When the next delivery is due; None if there is none."""
    pending = WebhookDelivery.objects.filter(state=DeliveryState.PENDING).exclude(host__in=avoid)
    return pending.order_by("due_at").values_list("due_at", flat=True).first()


def conclude(delivery: WebhookDelivery, result: Result) -> bool:
    """Write down what came of an attempt; return False if somebody else has sent it meanwhile."""
    now = clock.now()
    changes: dict[str, Any] = {"status_code": result.status_code, "last_error": result.error}
    if result.error is None:
        # Who has it needs no copy of it here.
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
    """How long to wait after so many attempts that failed, in seconds."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * FACTOR ** (attempts - 1))
    return pause * random.uniform(1 - JITTER, 1 + JITTER)


def try_again(deliveries: QuerySet[WebhookDelivery]) -> int:
    """Send deliveries that were given up, from the first attempt on; return how many."""
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
    """Delete what was, and what is still to be, told about threads that somebody deletes: it has their values in it."""
    WebhookDelivery.objects.filter(thread_id__in=thread_ids).delete()
