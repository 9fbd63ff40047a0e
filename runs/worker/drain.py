"""The drain of a worker's runs, as one part of a shutdown.

The whole order, from signal to exit:

1. `runs.server.lifespan` hears SIGTERM, and becomes unready; the server stops to accept connections.
2. `RunManager.stop_claiming`: no further run begins here.
3. `drain_runs`, below: runs end by themselves, are cancelled, or are abandoned. Each run's status is
   written as it ends (`runs.execution.settler`), while readers still stream.
4. `RunManager.drain` ends the lease. Other workers continue the runs.
5. The exit stack of `runs.worker.opening` ends the streams (websockets close with 1012), then closes
   the checkpoint storage, the pools and the threads.
6. The process exits, also if threads of abandoned nodes still run.
"""

from __future__ import annotations

import asyncio
import logging

from runs.lifecycle.outcomes import Stop
from runs.worker.active import ActiveRuns

logger = logging.getLogger(__name__)

#: Shares of the drain's time after which runs are cancelled, abandoned, and no longer waited for. The rest is
#: for writing statuses and ending the lease.
ASK_SHARE, CANCEL_SHARE, ABANDON_SHARE = 0.6, 0.8, 0.95


async def drain_runs(active: ActiveRuns, *, seconds: float) -> None:
    """Stop runs at a safe point, and wait until their statuses are written. Ends within `seconds`.

    Runs are asked to stop at their next step, then cancelled once, then abandoned. The status of each
    is decided by what actually happened.
    """
    began = asyncio.get_running_loop().time()
    if active:
        logger.info("Draining %s runs, for at most %g s.", len(active), seconds)
    for each in active.values():
        each.execution.request_drain()
    await _ended(active, began + seconds * ASK_SHARE)
    for each in list(active.values()):
        each.execution.stop(Stop.DRAIN)
    await _ended(active, began + seconds * CANCEL_SHARE)
    for each in list(active.values()):
        each.execution.abandon()
    await _ended(active, began + seconds * ABANDON_SHARE)
    for each in list(active.values()):
        each.task.cancel()
    await _ended(active, began + seconds)


async def _ended(active: ActiveRuns, deadline: float) -> None:
    """Wait until no run is left, or until the loop's time is `deadline`."""
    tasks = [each.task for each in active.values()]
    if tasks:
        await asyncio.wait(tasks, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
