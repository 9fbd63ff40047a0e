"""Which workers are dead: their process is gone, or their lease has run out."""

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
    """Workers that are not marked as stopped, and whose process is gone or has lost its lease.

    A free lock is believed in when it is still free a moment later: a worker whose connection alone was ended takes its lock
    anew at once. After a restart of the database, which frees every lock, that takes longer, and locks say nothing; nor
    do they to a worker whose own connection was ended, for what ended it may have ended the others'.

    Args:
        sole: Whether the caller holds SQLite's lock, which proves all workers but its own dead.
        own: The calling worker.
        steady: Whether its connection has held; asked last.
    """
    if connection.vendor != "postgresql":
        candidates = Worker.objects.filter(stopped_at__isnull=True)
        return list(candidates.values_list("id", flat=True)) if sole else []
    expired, unlocked = _suspects()
    if unlocked:
        time.sleep(CONFIRM)
        again, still = _suspects()
        expired |= again
        # Its own free lock is the first sign, while its event loop has not come to hear of it.
        unlocked = set() if own in unlocked | still or not steady() else unlocked & still
    return sorted(expired | unlocked)


def _suspects() -> tuple[set[UUID], set[UUID]]:
    """Workers whose lease has run out, and those whose lock nobody holds."""
    with connection.cursor() as cursor:
        # The lock of a transaction: taken only to learn that it was free, and given back with the statement.
        cursor.execute(
            f"""SELECT id, lease_expires_at <= now() FROM {Worker._meta.db_table}
            WHERE stopped_at IS NULL AND (lease_expires_at <= now()
                OR (now() - pg_postmaster_start_time() > make_interval(secs => %s)
                    AND pg_try_advisory_xact_lock({LOCK_KEY})))""",
            [leases.SETTLED],
        )
        rows = cursor.fetchall()
    return {each for each, expired in rows if expired}, {each for each, expired in rows if not expired}
