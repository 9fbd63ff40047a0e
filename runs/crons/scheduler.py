"""What an executing process does about crons: it fires those that are due, and sleeps until the next one is.

Every process does so, without a leader; a cron's row lock decides which of them fires it.
"""

from __future__ import annotations

import logging
from uuid import UUID

from runs.conf import settings
from runs.crons import firing
from runs.process.wakeups import CRONS, WORK, Wakeups
from threads.db import clock
from threads.db.database import in_database

logger = logging.getLogger(__name__)

#: Pause after something could not be read or fired, in seconds.
RETRY = 1.0


class Scheduler:
    """Fires crons for ever, whatever one of its turns raises."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups

    async def run(self) -> None:
        with self._wakeups.bell(CRONS) as bell:
            while True:
                bell.clear()
                try:
                    pause = await self._turn()
                except Exception as error:
                    logger.warning("Crons that are due could not be read, trying again: %s", error)
                    pause = RETRY
                await bell.wait(pause)

    async def _turn(self) -> float:
        """Fire what is due; return how long nothing more will be, in seconds.

        Somebody else may change a schedule meanwhile, so that it never sleeps for long.
        """
        failed = False
        for cron_id in await in_database(firing.due_crons):
            try:
                await self._fire(cron_id)
            except Exception as error:
                # It does not stop the others; it is still due.
                logger.warning("Cron %s could not be fired, trying again: %s", cron_id, error)
                failed = True
        due = await in_database(firing.next_due)
        if due is None:
            return settings.SWEEP
        wait = (due - clock.now()).total_seconds()
        # One that another process has locked at this moment is due too.
        return min(settings.SWEEP, max(RETRY if failed else 0.05, wait))

    async def _fire(self, cron_id: UUID) -> None:
        fired = await in_database(firing.fire, cron_id)
        if fired is not None and fired.admitted is not None:
            for run_id in fired.admitted.concerned:
                self._wakeups.tell(run_id)
            self._wakeups.tell(WORK)
