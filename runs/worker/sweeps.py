"""A worker's background work for all runs and threads: recovery, refreshing, retention."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from functools import partial
from uuid import UUID

from django.db import connection

from runs.conf import settings
from runs.lifecycle.reconcile import SWEEP_BUDGET, Caller, reconcile
from runs.process.dead_workers import FreeLocks, dead_workers
from runs.process.wakeups import WORK, Wakeups
from runs.retention import policy
from runs.states.refresh import refresh_stale
from runs.worker.active import ActiveRuns
from runs.worker.heartbeat import Heartbeat
from threads.checkpoints import CheckpointStorage
from threads.db.database import in_database

logger = logging.getLogger(__name__)

#: Pause in seconds before the sweep retries what its budget, or another transaction's lock, left unsettled.
AGAIN = 0.5


class Sweeps:
    """Loops that never end. A loop continues after an exception in one of its turns."""

    def __init__(
        self, heartbeat: Heartbeat, active: ActiveRuns, *, storage: CheckpointStorage, wakeups: Wakeups
    ) -> None:
        self._heartbeat = heartbeat
        self._active = active
        self._storage = storage
        self._wakeups = wakeups
        self._free_locks = FreeLocks()
        self._now = asyncio.Event()
        #: Set after each search for orphans, because settled orphans may leave threads stale.
        self._settled = asyncio.Event()

    def now(self) -> None:
        """Look for orphans now."""
        self._now.set()

    async def find_the_dead(self) -> None:
        """Look for dead workers, and start the recovery of their runs at once."""
        while connection.vendor == "postgresql":
            # A suspicion is looked into more often.
            pause = settings.PROBE / 2 if self._free_locks.some else settings.PROBE
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            try:
                lease = self._heartbeat.lease
                look = partial(dead_workers, own=lease.worker_id, steady=lease.steady, seen=self._free_locks)
                dead = await in_database(look, sole=False)
                if set(dead) - {lease.worker_id}:
                    self.now()
            except Exception as error:
                logger.warning("Dead workers could not be looked for, trying again: %s", error)

    async def settle_orphans(self) -> None:
        """Settle orphans at once when a dead worker was found, and at each sweep."""
        again = False
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN if again else settings.SWEEP * random.uniform(0.8, 1.2)):
                    await self._now.wait()
            self._now.clear()
            try:
                again = not await self._settle_orphans()
                self._settled.set()
            except Exception as error:
                logger.warning("Orphaned runs could not be settled, trying again: %s", error)

    async def refresh(self) -> None:
        """Refresh stale threads: first those that recovery left at startup, then after each sweep.

        Orphans do not wait for this, because each thread may take seconds when the storage does not
        answer.
        """
        while True:
            self._settled.clear()
            try:
                await refresh_stale()
            except Exception as error:
                logger.warning("Stale threads could not be refreshed, trying again: %s", error)
            await self._settled.wait()

    async def _settle_orphans(self) -> bool:
        """Settle orphans once; return whether all of them are settled."""
        lease = self._heartbeat.lease
        caller = Caller(
            sole=True, worker_id=lease.worker_id, executing=frozenset(self._active), steady=lease.steady,
            seen=self._free_locks,
        )  # fmt: skip
        report = await in_database(reconcile, caller=caller, budget=SWEEP_BUDGET)
        if report.requeued:
            self._wakeups.tell(WORK)
        for run_id in report.failed:
            self._wakeups.tell(UUID(run_id))
        return report.complete

    async def retain(self) -> None:
        """Remove expired data; a pass may take minutes, in short transactions."""
        while True:
            await asyncio.sleep(settings.RETENTION_SWEEP * random.uniform(0.5, 1.5))
            try:
                await policy.sweep(self._storage)
            except Exception as error:
                logger.warning("Expired data could not be removed, trying again: %s", error)
