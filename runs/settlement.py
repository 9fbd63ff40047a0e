"""Settling: writing down what became of an attempt, until it is written or somebody else owns the run."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING

from runs.endings import Ended, settle, settle_together
from runs.exceptions import RunLost
from runs.outcomes import Ending, Outcome, result_of
from runs.streams import RunStream
from threads.checkpoints import Fenced
from threads.database import in_database
from threads.faults import is_passing

if TYPE_CHECKING:
    from runs.execution.attempt import Execution

logger = logging.getLogger(__name__)

#: How long a final status is tried to be written while the database is unavailable, in seconds.
SETTLE_SECONDS = 20.0
#: How many runs are settled in one transaction at most.
BATCH = 100


class Settlements:
    """The one writer of final statuses in this process: runs that end while a transaction is under way share the next one."""

    def __init__(self) -> None:
        self._queue: list[tuple[Ended, asyncio.Future[bool | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def settle(self, ended: Ended) -> bool:
        """Settle one run, as `runs.endings.settle` does. Cancelling the caller does not undo it."""
        busy = await self._together(ended) if ended.final else None
        if busy is None:
            # Alone it waits for its thread's lock, and its error is its own.
            busy = await in_database(settle, ended)
        return busy

    async def _together(self, ended: Ended) -> bool | None:
        future: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._queue.append((ended, future))
        if self._task is None:
            # A fresh context: it must not live in that of whichever run ended first.
            self._task = asyncio.create_task(self._write(), name="settlements", context=contextvars.Context())
        return await future

    async def _write(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
                await self._write_batch(batch)
        finally:
            self._task = None

    async def _write_batch(self, batch: list[tuple[Ended, asyncio.Future[bool | None]]]) -> None:
        answers = {}
        try:
            answers = await in_database(settle_together, [ended for ended, _ in batch])
        except Exception as error:
            logger.debug("%s runs could not be settled together: %s", len(batch), error)
        finally:
            for ended, future in batch:
                if not future.done():
                    future.set_result(answers.get((ended.run.id, ended.run.epoch)))


async def settle_outcome(
    execution: Execution, outcome: Outcome, stream: RunStream, *, settlements: Settlements
) -> tuple[bool, bool]:
    """Write an outcome, trying again while the database is unavailable.

    Returns whether the run is final, and whether other runs wait on its thread. What cannot be written is logged with
    the run's id, and recovery settles it later.
    """
    run = execution.run
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + SETTLE_SECONDS, 0.05
    part, shown = stream.with_last(outcome.events)
    count = stream.count + len(shown)
    while True:
        try:
            if outcome.ending is Ending.LOST:
                raise RunLost
            if outcome.ending is Ending.ROLLED_BACK:
                await execution.roll_back(outcome)
            busy = await settlements.settle(Ended(run, outcome, part, count))
        except (RunLost, Fenced):
            logger.warning(
                "Run %s was taken over or deleted; this process writes nothing more of it.", run.id
            )
            return False, False
        except Exception as error:
            if not is_passing(error):
                logger.exception("Run %s: its status could not be written; recovery settles it.", run.id)
                return False, False
            if clock() > deadline:
                logger.error(
                    "Run %s: its status could not be written; recovery settles it: %s", run.id, error
                )
                return False, False
            logger.warning("Run %s: its status could not be written, trying again: %s", run.id, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)
        else:
            stream.show(shown)
            stream.result = result_of(outcome)
            return outcome.ending is not Ending.DRAINED, busy
