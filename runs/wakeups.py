"""'Something changed', told to whoever waits in this process. Nothing is lost by a lost wake-up: waiters also look."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from uuid import UUID

#: The key of "there may be a run to claim".
WORK = "work"


class Wakeups:
    """One-shot bells by key: a run's id, or `WORK`."""

    def __init__(self) -> None:
        self._waiting: defaultdict[UUID | str, set[asyncio.Future[None]]] = defaultdict(set)

    async def wait(self, key: UUID | str, timeout: float) -> bool:
        """Wait until the key is rung, at most `timeout` seconds; return whether it was."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key].add(future)
        try:
            done, _ = await asyncio.wait([future], timeout=timeout)
            return bool(done)
        finally:
            waiting = self._waiting[key]
            waiting.discard(future)
            if not waiting:
                del self._waiting[key]

    def ring(self, key: UUID | str) -> None:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(None)

    def ring_all(self) -> None:
        for key in list(self._waiting):
            self.ring(key)
