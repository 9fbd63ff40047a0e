"""What a worker does beside its runs: it keeps its lease, hears what is asked of its runs, and looks for dead workers."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection

from runs import claims, recovery, retention
from runs.conf import settings
from runs.deaths import dead_workers
from runs.leases import Lease
from runs.outcomes import Stop
from runs.state_refresh import refresh_stale
from runs.wakeups import WORK
from threads.database import in_database

if TYPE_CHECKING:
    from runs.manager import RunManager

logger = logging.getLogger(__name__)

#: Pauses before a renewal that failed is tried again, in seconds; the longest one is a heartbeat.
RETRY = 0.1
#: Pause before the sweep goes on with what its budget, or somebody's lock, did not let it settle, in seconds.
AGAIN = 0.5


class Upkeep:
    """The loops of a `RunManager` that never end; each goes on whatever one of its turns raises."""

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._look = asyncio.Event()
        self._expired = False
        self._failing = False
        self._sweep_now = asyncio.Event()

    # --- the lease

    async def begin_lease(self) -> None:
        """Begin a lease, under a new identity."""
        self._expired = False
        self._manager.lease = Lease(on_expiry=self._lease_expired, shaken_at=self._manager.lease.shaken_at)
        options = self._manager.options
        await self._manager.lease.begin(concurrency=self._manager.concurrency, queues=options.queues)

    async def keep_lease(self) -> None:
        pause = RETRY
        while True:
            lease = self._manager.lease
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.HEARTBEAT):
                    await lease.broken.wait()
            try:
                if self._expired or not await lease.renew():
                    await self._begin_anew()
                pause, self._failing = RETRY, False
            except Exception as error:
                self._failing = True
                logger.warning("The lease could not be renewed, trying again: %s", error)
                self._manager.lease.broken.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, settings.HEARTBEAT)

    async def _begin_anew(self) -> None:
        """Go on as a new worker, once the old one's runs have ended here: others may have taken them over."""
        if not self._expired:
            self._lease_expired()
        carrying = [each.task for each in self._manager.active.values()]
        if carrying:
            await asyncio.wait(carrying, timeout=settings.CANCEL_GRACE)
        await self._manager.lease.end()
        await self.begin_lease()
        self._sweep_now.set()
        logger.info("Going on as worker %s.", self._manager.worker_id)
        self._manager.wakeups.ring(WORK)

    def _lease_expired(self) -> None:
        """Stop every run, for others may believe this worker dead by now.

        If the database was out of reach, runs that nobody took are handed back. If this process stood still, one of them
        may be why: they are recovered like those of a dead worker, which bounds how often.
        """
        self._expired = True
        self._manager.lease.broken.set()
        running = list(self._manager.active.values())
        logger.error("This worker lost its lease; its %s runs are stopped here.", len(running))
        for each in running:
            each.execution.stop(Stop.LEASE if self._failing else Stop.LOST)

    # --- cancels and takeovers

    def look(self) -> None:
        """Look at the rows of this worker's runs now: somebody asked for something."""
        self._look.set()

    async def look_after_runs(self) -> None:
        """Follow what others write to the rows of this worker's runs: cancels, takeovers, deletions."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.POLL):
                    await self._look.wait()
            self._look.clear()
            active = dict(self._manager.active)
            if not active:
                continue
            try:
                rows = await in_database(claims.owned, self._manager.worker_id)
            except Exception as error:
                logger.warning("Cancel requests could not be read, trying again: %s", error)
                await asyncio.sleep(RETRY)
                self._look.set()
                continue
            for run_id, each in active.items():
                epoch, action = rows.get(run_id, (0, ""))
                if epoch != each.execution.run.epoch:
                    # Also seen when the run has just been settled; stopping an execution that ended does nothing.
                    each.execution.stop(Stop.LOST)
                elif action:
                    each.execution.run.cancel_action = action
                    each.execution.stop(Stop.CANCEL)

    # --- what others leave behind

    async def find_the_dead(self) -> None:
        """Look for workers whose process is gone, and have their runs recovered at once."""
        while connection.vendor == "postgresql":
            await asyncio.sleep(settings.PROBE * random.uniform(0.8, 1.2))
            try:
                lease = self._manager.lease
                dead = await in_database(dead_workers, sole=False, own=lease.worker_id, steady=lease.steady)
                if set(dead) - {lease.worker_id}:
                    self._sweep_now.set()
            except Exception as error:
                logger.warning("Dead workers could not be looked for, trying again: %s", error)

    async def retain(self) -> None:
        """Remove what has been kept long enough; a pass may take minutes, of short transactions."""
        while True:
            await asyncio.sleep(settings.RETENTION_SWEEP * random.uniform(0.5, 1.5))
            try:
                await retention.sweep(self._manager.storage)
            except Exception as error:
                logger.warning("What is too old could not be removed, trying again: %s", error)

    async def sweep(self) -> None:
        """Settle orphans: at once when a worker was found dead, and now and then in any case."""
        again = False
        # What recovery has settled before the first request is read through graphs now.
        self._sweep_now.set()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN if again else settings.SWEEP * random.uniform(0.8, 1.2)):
                    await self._sweep_now.wait()
            self._sweep_now.clear()
            try:
                report = await in_database(
                    recovery.reconcile,
                    sole=True,
                    worker_id=self._manager.worker_id,
                    executing=set(self._manager.active),
                    steady=self._manager.lease.steady,
                    budget=recovery.SWEEP_BUDGET,
                )
                again = not report.complete
                await refresh_stale()
                if report.requeued:
                    self._manager.wakeups.tell(WORK)
                for run_id in report.failed:
                    self._manager.wakeups.tell(UUID(run_id))
            except Exception as error:
                logger.warning("What others left behind could not be settled, trying again: %s", error)
