"""Settling: writes an attempt's outcome, with retries until it is written or this process no longer
owns the run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from runs.deletion import in_turns, remains
from runs.events.buffer import RunStream
from runs.events.table import Part
from runs.exceptions import RunLost
from runs.execution.ending import failure
from runs.lifecycle.outcomes import Ending, Outcome, result_of
from runs.lifecycle.settlement import Ended, settle, settle_together
from runs.models import Run
from threads.checkpoints import Fenced
from threads.db.database import in_database
from threads.db.errors import is_passing
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: How long to retry writing a final status while the database is unavailable, in seconds.
SETTLE_SECONDS = 20.0
#: How many runs are settled in one transaction at most.
BATCH = 100


class ResultRefused(Exception):
    """The database refused the run's result, because of its content"""


class Settled(NamedTuple):
    """The result of a settlement."""

    #: Whether the run has a final status, or was deleted.
    final: bool
    #: Whether other runs wait on its thread.
    waiting: bool


#: Another process, or recovery, settles the run.
NOT_SETTLED = Settled(final=False, waiting=False)


class Settler:
    """Writes the outcomes of this process's runs. Runs that end while a transaction is under way share the next one."""

    def __init__(self) -> None:
        self._queue: list[tuple[Ended, asyncio.Future[bool | None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def settle(self, run: Run, outcome: Outcome, stream: RunStream) -> Settled:
        """Write an outcome and the run's last events, then pass these to the run's readers."""
        if outcome.ending is Ending.LOST:
            logger.warning(
                "Run %s was taken over or deleted; this process writes nothing more of it.", run.id
            )
            return NOT_SETTLED
        whole = outcome
        for events in (True, True, False):
            part, shown = stream.with_last(outcome.events)
            if not events:
                part = replace(part, events=shown)
            try:
                waiting = await self._written(run, outcome, part, stream.count + len(shown))
            except RunLost:
                return NOT_SETTLED
            except ResultRefused as error:
                logger.exception("Run %s: its result is replaced by an error.", run.id)
                outcome = without_content(whole, error)
                continue
            stream.show(shown)
            stream.result = result_of(outcome)
            return Settled(outcome.ending is not Ending.DRAINED, waiting)
        logger.error("Run %s: its status could not be written; recovery settles it.", run.id)
        return NOT_SETTLED

    async def _written(self, run: Run, outcome: Outcome, part: Part, count: int) -> bool:
        ended = Ended(run, outcome, part, count)
        return await until_written(run, lambda: self.write(ended))

    async def clear(self, run: Run) -> None:
        """Remove the events of a run that was rolled back."""
        try:
            await in_turns(remains([run.id]))
        except Exception as error:
            logger.warning("Run %s: retention will remove its events: %s", run.id, error)

    async def write(self, ended: Ended) -> bool:
        """Settle one run, as `runs.lifecycle.settlement.settle` does. Cancelling the caller does not undo it."""
        busy = await self._together(ended) if ended.final else None
        if busy is None:
            # A separate transaction can wait for the thread's lock, and reports the run's own error.
            busy = await in_database(settle, ended)
        return busy

    async def _together(self, ended: Ended) -> bool | None:
        future: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._queue.append((ended, future))
        if self._task is None:
            # A fresh context, so that the task does not inherit the context of the run that ended first.
            self._task = spawn(self._write(), "settler")
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


def without_content(outcome: Outcome, refused: ResultRefused) -> Outcome:
    """How an attempt ends whose outcome the database refuses: without anything of the graph."""
    match outcome.ending:
        case Ending.DRAINED:
            # The next attempt repeats what is missing.
            return Outcome(Ending.DRAINED, charged=True)
        case Ending.ROLLED_BACK:
            return Outcome(Ending.ROLLED_BACK, interrupts=None)
    # A new exception, because the cause's message may quote the content.
    return replace(failure(ResultRefused(str(refused))), interrupts=None)


async def until_written(run: Run, write: Callable[[], Awaitable[T]]) -> T:
    """Write something of a run's end, and retry while the database is unavailable.

    Raises RunLost if it could not be written: another process owns the run, or recovery settles it.
    The log says which. Raises ResultRefused if a retry would fail in the same way.
    """
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + SETTLE_SECONDS, 0.05
    while True:
        try:
            return await write()
        except (RunLost, Fenced) as error:
            logger.warning(
                "Run %s was taken over or deleted; this process writes nothing more of it.", run.id
            )
            raise RunLost from error
        except Exception as error:
            if not is_passing(error):
                raise ResultRefused(f"{ResultRefused.__doc__}: {type(error).__name__}.") from error
            if clock() > deadline:
                logger.error(
                    "Run %s: its status could not be written; recovery settles it: %s", run.id, error
                )
                raise RunLost from error
            logger.warning("Run %s: its status could not be written, trying again: %s", run.id, error)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)
