"""The loop of an executing process that continues bulk actions of operators.

Every executing process has it. There is no leader: the row lock of a bulk action decides which
process handles its next run.
"""

from __future__ import annotations

import logging
from uuid import UUID

from runs.conf import settings
from runs.lifecycle.operators.bulk.handling import Step, advance, unfinished
from runs.process.wakeups import BULK, Wakeups
from threads.db.database import in_database

logger = logging.getLogger(__name__)

#: How long one call of the database's thread may handle runs, in seconds: on SQLite others wait for it.
TURN = 0.05
#: Pause after a failure, and while a limit makes an action wait, in seconds.
RETRY = 1.0


class BulkActions:
    """Continues bulk actions until it is cancelled; errors do not stop it."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups

    async def run(self) -> None:
        with self._wakeups.bell(BULK) as bell:
            while True:
                bell.clear()
                try:
                    pause = await self._turn()
                except Exception as error:
                    logger.warning("Bulk actions could not be read, trying again: %s", error)
                    pause = RETRY
                if pause:
                    await bell.wait(pause)

    async def _turn(self) -> float:
        """Continue each action a little; return the pause until the next turn, in seconds."""
        steps = [await self._advance(bulk_id) for bulk_id in await in_database(unfinished)]
        if Step.HANDLED in steps:
            return 0.0
        return RETRY if Step.WAITS in steps else settings.SWEEP

    async def _advance(self, bulk_id: UUID) -> Step:
        try:
            return await in_database(advance, bulk_id, seconds=TURN)
        except Exception as error:
            # The run is still to be handled, by this process or another one.
            logger.warning("Bulk action %s was interrupted, trying again: %s", bulk_id, error)
            return Step.WAITS
