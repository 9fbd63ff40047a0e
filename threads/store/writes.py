"""Writes of items, and removal of expired ones; synchronous, for one call on a database thread."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from threads.checkpoints.rows import Fenced
from threads.db import clock
from threads.models import StoreItem, Thread
from threads.models.item import StoreItemQuerySet
from threads.models.querysets import Principal
from threads.store.items import Place, at, parts
from threads.store.room import take_room

TABLE, THREADS = StoreItem._meta.db_table, Thread._meta.db_table
FIELDS = [field for field in StoreItem._meta.concrete_fields if not field.primary_key]
REPLACED = ("value", "updated_at", "ttl_minutes", "expires_at", "embedding", "vectors")
# An expired item counts as deleted, even before its removal: a put in its place creates a new item.
UPSERT = f"""
INSERT INTO {TABLE} ({", ".join(str(field.column) for field in FIELDS)}) VALUES {{rows}}
ON CONFLICT (user_id, namespace, key) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in REPLACED)},
    created_at = CASE WHEN {TABLE}.expires_at <= excluded.updated_at
        THEN excluded.created_at ELSE {TABLE}.created_at END
"""


@dataclass(frozen=True, slots=True)
class Fence:
    """The thread's writer for whom items are written; after a takeover it may write nothing."""

    thread_id: UUID
    epoch: int


def write(
    principal: Principal,
    puts: Collection[StoreItem],
    deletes: Collection[Place],
    *,
    fence: Fence | None,
    most: int = 0,
) -> None:
    """Put and delete items, in one transaction.

    Raises Fenced if another writer has taken the thread over, and TooLarge if the user's items
    would exceed `most` bytes.

    The last of concurrent puts of a key wins. Rows are written in key order, so that two batches
    cannot deadlock.
    """
    with transaction.atomic():
        if fence is not None:
            _hold(fence)
        take_room(principal, (item.value for item in puts), limit=most)
        for gone in parts(deletes):
            StoreItem.objects.for_principal(principal).filter(at(gone))._raw_delete("default")
        for part in parts(sorted(puts, key=lambda item: (item.namespace, item.key))):
            rows = [
                [field.get_db_prep_save(getattr(item, field.attname), connection) for field in FIELDS]
                for item in part
            ]
            places = ", ".join(["(" + ", ".join(["%s"] * len(FIELDS)) + ")"] * len(rows))
            with connection.cursor() as cursor:
                cursor.execute(UPSERT.format(rows=places), [value for row in rows for value in row])


def _hold(fence: Fence) -> None:
    """Prevent a takeover of the thread until the transaction ends, like a checkpoint's write."""
    lock = "FOR KEY SHARE" if connection.vendor == "postgresql" else ""
    thread_id = Thread._meta.pk.get_db_prep_value(fence.thread_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {THREADS} WHERE id = %s AND epoch = %s {lock}", [thread_id, fence.epoch]
        )
        if cursor.fetchone() is None:
            raise Fenced


# --- expired items


def overdue(now: datetime) -> StoreItemQuerySet:
    """Items of all users that have expired."""
    return StoreItem.objects.filter(expires_at__lte=now)


def remove_overdue(*, limit: int) -> int:
    """Remove some expired items in the caller's transaction.

    Items that a put has locked are left.
    """
    now = clock.now()
    locked = overdue(now).order_by("expires_at").select_for_update(skip_locked=True)
    ids = list(locked.values_list("id", flat=True)[:limit])
    return StoreItem.objects.filter(id__in=ids)._raw_delete("default") if ids else 0
