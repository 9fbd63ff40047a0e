"""Finds dead workers: their process is gone, or their lease has run out."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from django.db import connection

from runs.models import Worker
from runs.process import leases
from runs.process.leases import LOCK_KEY

#: A free lock must still be free after this many seconds.
CONFIRM = 0.25


def dead_workers(
    *, sole: bool, own: UUID | None = None, steady: Callable[[], bool] = lambda: True
) -> list[UUID]:
    """Dead workers that are not marked as stopped.

    A free lock counts only if it is still free a moment later, because a worker that lost only its
    connection takes its lock again at once. After a restart of the database, which frees every
    lock, that takes longer, so free locks are ignored. A worker whose own connection was ended
    ignores them too, because the cause may have ended the other workers' connections.

    Args:
        sole: Whether the caller holds SQLite's lock, which proves all workers but its own dead.
        own: The calling worker.
        steady: Returns whether its connection was stable; called last.
    """
    if connection.vendor != "postgresql":
        candidates = Worker.objects.filter(stopped_at__isnull=True)
        return list(candidates.values_list("id", flat=True)) if sole else []
    expired, unlocked = _suspects()
    if unlocked:
        time.sleep(CONFIRM)
        again, still = _suspects()
        expired |= again
        # The caller's own free lock is the first sign, before its event loop has noticed the broken
        # connection.
        unlocked = set() if own in unlocked | still or not steady() else unlocked & still
    return sorted(expired | unlocked)


def _suspects() -> tuple[set[UUID], set[UUID]]:
    """Workers whose lease has run out, and other workers whose lock is free (PostgreSQL)."""
    with connection.cursor() as cursor:
        # A transaction-level lock: it only tests whether the lock is free, and is released with the
        # statement.
        cursor.execute(
            f"""SELECT id, lease_expires_at <= now() FROM {Worker._meta.db_table}
            WHERE stopped_at IS NULL AND (lease_expires_at <= now()
                OR (now() - pg_postmaster_start_time() > make_interval(secs => %s)
                    AND pg_try_advisory_xact_lock({LOCK_KEY})))""",
            [leases.SETTLED],
        )
        rows = cursor.fetchall()
    return {each for each, expired in rows if expired}, {each for each, expired in rows if not expired}
