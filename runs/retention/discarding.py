"""Discarding threads: what is removed of them at once. The rest follows in steps (`runs.deletion`)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import F

from runs.webhooks import outbox
from threads.models import Thread


def discard(thread_ids: Collection[UUID], *, now: datetime) -> None:
    """Hide threads that this transaction has locked, fence their writers, and send no webhook of them any more."""
    Thread.objects.filter(id__in=thread_ids).update(discarded_at=now, expires_at=None, epoch=F("epoch") + 1)
    outbox.forget(thread_ids)
