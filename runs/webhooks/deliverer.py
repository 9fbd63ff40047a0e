"""The webhook loop of an executing process: sends due deliveries, a few at once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

import httpx

from runs.conf import settings
from runs.models import WebhookDelivery
from runs.process.wakeups import WEBHOOKS, Wakeups
from runs.webhooks import outbox
from runs.webhooks.notices import is_notice, receivers, send_signal
from runs.webhooks.sending import lookups_left, open_client, send
from threads.db import clock
from threads.db.database import in_database
from threads.db.executors import in_thread
from threads.db.ids import UserId

logger = logging.getLogger(__name__)

#: Maximum concurrent deliveries of one process, and the number to one host from which that host gets no more.
#: Other hosts always have room. A user gets no more once as many are of that user as are free, so
#: that some are always free for users who have none.
AT_ONCE, PER_HOST = 32, 4
#: Pause after a failure to read the outbox, in seconds.
RETRY = 1.0
#: How long a shutdown waits for receivers of signals, in seconds.
CLOSE = 1.0


def crowding(busy: Mapping[UserId, int], room: int) -> list[UserId]:
    """The users who have at least as many deliveries under way as there is room for."""
    return [user_id for user_id, count in busy.items() if count >= room]


class Deliverer:
    """Sends webhooks until it is cancelled.

    Interrupted deliveries become due again, for any process.
    """

    def __init__(self, wakeups: Wakeups) -> None:
        self._wakeups = wakeups
        self._sending: dict[asyncio.Task[None], WebhookDelivery] = {}

    async def run(self) -> None:
        async with open_client() as client:
            try:
                with self._wakeups.bell(WEBHOOKS) as bell:
                    while True:
                        bell.clear()
                        pause = await self._turn(client)
                        if pause > 0:
                            await bell.wait(pause)
            finally:
                # Before the connections close, because that would look like failures of the receivers.
                await self._break_off()
                await in_thread(receivers.close, CLOSE)

    async def _break_off(self) -> None:
        broken_off = dict(self._sending)
        if not broken_off:
            return
        for task in broken_off:
            task.cancel()
        await asyncio.wait(broken_off)
        try:
            await in_database(outbox.give_back, list(broken_off.values()))
        except Exception as error:
            logger.warning("Interrupted webhooks are sent again after their timeout: %s", error)

    async def _turn(self, client: httpx.AsyncClient) -> float:
        """Start the due deliveries; return the time until the next one is due, in seconds."""
        busy = Counter(delivery.user_id for delivery in self._sending.values()) + lookups_left()
        room = AT_ONCE - busy.total()
        if room <= 0:
            return settings.SWEEP  # the end of any delivery wakes the loop
        try:
            avoid = outbox.Avoid(hosts=self._occupied(), users=crowding(busy, room))
            # Few at a time: what is claimed together may all be of one user, or to one host.
            claimed = await in_database(outbox.claim, limit=min(PER_HOST, max(1, room // 4)), avoid=avoid)
            due = None if claimed else await in_database(outbox.next_due, avoid=avoid)
        except Exception as error:
            logger.warning("Due webhooks could not be read, trying again: %s", error)
            return RETRY
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(client, delivery), name=f"webhook {delivery.id}")
            self._sending[task] = delivery
            task.add_done_callback(self._ended)
        if claimed:
            return 0.0
        if due is None:
            return settings.SWEEP
        return min(settings.SWEEP, max(0.01, (due - clock.now()).total_seconds()))

    def _occupied(self) -> list[str]:
        counts = Counter(delivery.host for delivery in self._sending.values())
        return [host for host, count in counts.items() if count >= PER_HOST]

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("The result of a webhook could not be written; it is sent again: %s", error)
        self._wakeups.ring(WEBHOOKS)

    async def _deliver(self, client: httpx.AsyncClient, delivery: WebhookDelivery) -> None:
        result = await (send_signal(delivery) if is_notice(delivery) else send(client, delivery))
        await in_database(outbox.conclude, delivery, result)
        if result.error is not None:
            # A webhook's receiver is someone else's; a signal's is this site's own code.
            own = is_notice(delivery)
            logger.log(
                logging.WARNING if own else logging.INFO,
                "%s %s of run %s, attempt %s: %s",
                "Signal" if own else "Webhook", delivery.id, delivery.run_id, delivery.attempts, result.error,
            )  # fmt: skip
