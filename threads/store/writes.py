"""Writes of items, and removal of expired ones; synchronous, for one call on a database thread."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from threads.checkpoints.rows import Fenced
from threads.db import clock
from threads.db.namespaces import decode
from threads.filters import shares
from threads.models import StoreItem, Thread
from threads.models.item import StoreItemQuerySet
from threads.models.querysets import Principal
from threads.store.items import Place, at, parts

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
#: The advisory locks of places, a few for all of them, taken in one order.
LOCK = 7_264_118
LOCK_PLACES = """
SELECT pg_advisory_xact_lock(%s, lock) FROM (
    SELECT DISTINCT get_byte(sha256(place), 0) AS lock FROM unnest(%s::bytea[]) AS place ORDER BY lock
) AS locks
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
) -> None:
    """Put and delete items, in one transaction.

    Raises Fenced if another writer has taken the thread over.

    The last of concurrent puts of a key wins. Rows are written in key order, so that two batches
    cannot deadlock.
    """
    with transaction.atomic():
        if fence is not None:
            _hold(fence)
        if shares(principal, "store"):
            _keep_owners([*puts])
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


def _keep_owners(puts: Sequence[StoreItem]) -> None:
    """Let the items of a store that users share replace those at the same places, whoever created these.

    Until the transaction ends, no other one puts an item there.
    """
    if connection.vendor == "postgresql":
        names = [f"{item.namespace}\0{item.key}".encode() for item in puts]
        with connection.cursor() as cursor:
            cursor.execute(LOCK_PLACES, [LOCK, names])
    for part in parts(puts):
        places = [Place(decode(item.namespace), item.key) for item in part]
        there = StoreItem.objects.filter(at(places)).order_by("updated_at", "id")
        rows = there.values_list("namespace", "key", "user_id")
        owners = {(namespace, key): user_id for namespace, key, user_id in rows}
        for item in part:
            item.user_id = owners.get((item.namespace, item.key), item.user_id)


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
