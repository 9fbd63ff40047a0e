"""Watches the rows of a worker's runs for cancellations, requeues, takeovers and deletions by other
processes.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from runs.conf import settings
from runs.lifecycle import claims
from runs.lifecycle.outcomes import Stop
from runs.worker.active import ActiveRuns
from runs.worker.heartbeat import Heartbeat
from threads.db.database import in_database

logger = logging.getLogger(__name__)

#: Pause before the rows are read again after an error, in seconds.
RETRY = 0.1


class CancelWatch:
    """Stops runs that were cancelled, taken over or deleted, as their rows show."""

    def __init__(self, heartbeat: Heartbeat, active: ActiveRuns) -> None:
        self._heartbeat = heartbeat
        self._active = active
        self._look = asyncio.Event()

    def look(self) -> None:
        """Read the rows now, because a request for one of the runs was announced."""
        self._look.set()

    async def run(self) -> None:
        """Read the rows when `look` is called, and at each poll. Never ends."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.POLL):
                    await self._look.wait()
            self._look.clear()
            active = dict(self._active)
            if not active:
                continue
            try:
                rows = await in_database(claims.owned, self._heartbeat.lease.worker_id)
            except Exception as error:
                logger.warning("Cancel requests could not be read, trying again: %s", error)
                await asyncio.sleep(RETRY)
                self._look.set()
                continue
            for run_id, each in active.items():
                row = rows.get(run_id, claims.Owned(0))
                if row.epoch != each.execution.run.epoch:
                    # This is also the case when the run has just been settled; stopping an execution that
                    # ended has no effect.
                    each.execution.stop(Stop.LOST)
                elif row.cancel_action:
                    each.execution.run.cancel_action = row.cancel_action
                    each.execution.stop(Stop.CANCEL)
                elif row.requeue:
                    each.execution.request_requeue()
