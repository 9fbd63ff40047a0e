"""Finds dead workers: their process is gone, or their lease has run out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import connection

from runs.models import Worker
from runs.process import leases
from runs.process.leases import LOCK_KEY

#: A free lock must still be free after this many seconds.
CONFIRM = 0.25
#: A lock that has been free for this long without a heartbeat proves a death whatever happened to connections
#: meanwhile, in seconds: a live worker takes its lock again, and renews its lease, as soon as it can connect.
GONE = 2.0
#: Seconds without a look after which it is unknown whether a lock has been free all the time.
UNSEEN = 2.5


class FreeLocks:
    """Since when the locks of other workers have been free, as far as one process has seen."""

    def __init__(self) -> None:
        #: When a lock was first seen free, and the worker's last heartbeat then.
        self._since: dict[UUID, tuple[float, datetime]] = {}
        self._looked = 0.0

    def note(self, free: Mapping[UUID, datetime], *, now: float) -> None:
        """Note all free locks with their workers' last heartbeats; `now` is of the monotonic clock."""
        known = self._since if now - self._looked <= UNSEEN else {}
        first = {each: (now, heartbeat) for each, heartbeat in free.items()}
        self._since = {
            each: known[each] if each in known and known[each][1] == heartbeat else first[each]
            for each, heartbeat in free.items()
        }
        self._looked = now

    def gone(self, *, now: float) -> set[UUID]:
        """Workers whose locks have been free for `GONE` seconds, without a heartbeat meanwhile."""
        return {each for each, (since, _) in self._since.items() if now - since >= GONE}

    @property
    def some(self) -> bool:
        """Whether any lock was free at the last look."""
        return bool(self._since)


def dead_workers(
    *,
    sole: bool,
    own: UUID | None = None,
    steady: Callable[[], bool] = lambda: True,
    seen: FreeLocks | None = None,
) -> list[UUID]:
    """Dead workers that are not marked as stopped.

    A free lock counts only if it is still free a moment later, because a worker that lost only its
    connection takes its lock again at once. After a restart of the database, which frees every
    lock, that takes longer, so free locks are ignored. A worker whose own connection was ended
    ignores them too, because the cause may have ended the other workers' connections. What it has
    seen free for long enough is dead nevertheless: otherwise a second such cause would begin the
    wait again for a process that died before it.

    Args:
        sole: Whether the caller holds SQLite's lock, which proves all workers but its own dead.
        own: The calling worker.
        steady: Returns whether its connection was stable; called last.
        seen: What the caller has seen in earlier calls.
    """
    if connection.vendor != "postgresql":
        candidates = Worker.objects.filter(stopped_at__isnull=True)
        return list(candidates.values_list("id", flat=True)) if sole else []
    seen = FreeLocks() if seen is None else seen
    expired, unlocked = _suspects()
    if unlocked:
        time.sleep(CONFIRM)
        again, still = _suspects()
        expired |= again
        seen.note(still, now=time.monotonic())
        # The caller's own free lock is the first sign, before its event loop has noticed the broken
        # connection.
        shaken = own in {*unlocked, *still} or not steady()
        found = seen.gone(now=time.monotonic()) if shaken else unlocked.keys() & still.keys()
    else:
        seen.note({}, now=time.monotonic())
        found = set()
    return sorted(expired | (found - {own}))


def _suspects() -> tuple[set[UUID], dict[UUID, datetime]]:
    """Workers whose lease has run out; and other workers whose lock is free, with their last heartbeats
    (PostgreSQL).
    """
    with connection.cursor() as cursor:
        # A transaction-level lock: it only tests whether the lock is free, and is released with the
        # statement.
        cursor.execute(
            f"""SELECT id, lease_expires_at <= now(), heartbeat_at FROM {Worker._meta.db_table}
            WHERE stopped_at IS NULL AND (lease_expires_at <= now()
                OR (now() - pg_postmaster_start_time() > make_interval(secs => %s)
                    AND pg_try_advisory_xact_lock({LOCK_KEY})))""",
            [leases.SETTLED],
        )
        rows = cursor.fetchall()
    free = {each: heartbeat for each, expired, heartbeat in rows if not expired}
    return {each for each, expired, _ in rows if expired}, free
