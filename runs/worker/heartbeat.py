"""A worker's heartbeat: renews the lease, and begins a new one after the old one was lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from runs.conf import settings
from runs.lifecycle.outcomes import Stop
from runs.process.leases import Lease
from runs.process.options import WorkerOptions
from runs.worker.active import ActiveRuns

logger = logging.getLogger(__name__)

#: First pause before a failed renewal is retried, in seconds; the longest pause is a heartbeat.
RETRY = 0.1


class Heartbeat:
    """Renews a worker's lease for as long as it runs.

    Args:
        active: The worker's runs, which are stopped when the lease is lost.
        on_new_lease: Called once the worker continues under a new identity.
        on_drain: Called at each heartbeat once an operator has asked this worker to drain.
    """

    def __init__(
        self,
        options: WorkerOptions,
        active: ActiveRuns,
        *,
        on_new_lease: Callable[[], None] = lambda: None,
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        self.lease = Lease()
        self._options = options
        self._active = active
        self._on_new_lease = on_new_lease
        self._on_drain = on_drain
        self._expired = False
        #: Whether the last renewal failed.
        self._failing = False

    async def begin(self) -> None:
        """Begin a lease, under a new identity."""
        self._expired = False
        self.lease = Lease(on_expiry=self._lease_expired, shaken_at=self.lease.shaken_at)
        concurrency = self._options.concurrency or settings.CONCURRENCY
        await self.lease.begin(concurrency=concurrency, queues=self._options.queues)

    async def run(self) -> None:
        """Renew the lease at each heartbeat, and at once when its connection breaks. Never ends."""
        pause = RETRY
        while True:
            lease = self.lease
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.HEARTBEAT):
                    await lease.broken.wait()
            try:
                if self._expired or not await lease.renew():
                    await self._begin_again()
                pause, self._failing = RETRY, False
                if lease.drain_requested:
                    self._on_drain()
            except Exception as error:
                self._failing = True
                logger.warning("The lease could not be renewed, trying again: %s", error)
                self.lease.broken.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, settings.HEARTBEAT)

    async def _begin_again(self) -> None:
        """Continue as a new worker once the old worker's runs have ended here, because others may
        have taken them over.
        """
        if not self._expired:
            self._lease_expired()
        carrying = [each.task for each in self._active.values()]
        if carrying:
            await asyncio.wait(carrying, timeout=settings.CANCEL_GRACE)
        await self.lease.end()
        await self.begin()
        logger.info("Going on as worker %s.", self.lease.worker_id)
        self._on_new_lease()

    def _lease_expired(self) -> None:
        """Stop every run, because other processes may consider this worker dead by now.

        If the database was unreachable, runs that no other process took are requeued. If this
        process was blocked, one of the runs may be the cause. They are then recovered like those of
        a dead worker, which bounds the number of attempts.
        """
        self._expired = True
        self.lease.broken.set()
        running = list(self._active.values())
        logger.error("This worker lost its lease; its %s runs are stopped here.", len(running))
        for each in running:
            each.execution.stop(Stop.LEASE if self._failing else Stop.LOST)
