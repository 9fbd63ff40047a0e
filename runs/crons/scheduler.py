"""The cron loop of an executing process: fires due crons, and sleeps until the next one is due.

Every executing process has this loop. There is no leader: a cron's row lock decides which process
fires it.
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

#: Pause after a failure, in seconds.
RETRY = 1.0


class Scheduler:
    """Fires crons until it is cancelled; errors do not stop it."""

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups

    async def run(self) -> None:
        with self._wakeups.bell(CRONS) as bell:
            while True:
                bell.clear()
                try:
                    pause = await self._turn()
                except Exception as error:
                    logger.warning("Due crons could not be read, trying again: %s", error)
                    pause = RETRY
                await bell.wait(pause)

    async def _turn(self) -> float:
        """Fire the due crons; return the time until the next one is due, in seconds.

        The time is at most `SWEEP`, because another process may change a schedule meanwhile.
        """
        failed = False
        for cron_id in await in_database(firing.due_crons):
            try:
                await self._fire(cron_id)
            except Exception as error:
                # The cron is still due. The others are fired nevertheless.
                logger.warning("Cron %s could not be fired, trying again: %s", cron_id, error)
                failed = True
        due = await in_database(firing.next_due)
        if due is None:
            return settings.SWEEP
        wait = (due - clock.now()).total_seconds()
        # Crons that another process is firing count as due, so there is a minimum pause.
        return min(settings.SWEEP, max(RETRY if failed else 0.05, wait))

    async def _fire(self, cron_id: UUID) -> None:
        fired = await in_database(firing.fire, cron_id)
        if fired is not None and fired.admitted is not None:
            for run_id in fired.admitted.concerned:
                self._wakeups.tell(run_id)
            self._wakeups.tell(WORK)
