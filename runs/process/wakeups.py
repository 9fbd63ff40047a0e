"""Wake-ups for waiters in this process: something changed. A lost wake-up only costs time, because
waiters also poll.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

#: The key of "there may be a run to claim".
WORK = "work"
#: The keys of "a schedule changed", "a webhook is due" and "a bulk action began". They are rung in one process
#: only; the others poll.
CRONS, WEBHOOKS, BULK = "crons", "webhooks", "bulk"
#: A run's id for its readers; `owner_of(run id)` for its owner; or one of the words above.
Key = UUID | str | tuple[str, UUID]


def owner_of(run_id: UUID) -> Key:
    """The key of "this run was cancelled", for the process that executes it."""
    return ("owner", run_id)


class Bell:
    """Rings if something has changed since `clear()`. Clear it, look, and only then wait, so that
    no change is missed.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def clear(self) -> None:
        self._rung.clear()

    async def wait(self, timeout: float) -> bool:
        """Wait until it rings, at most `timeout` seconds; return whether it did."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        return self._rung.is_set()


class Wakeups:
    """The bells of this process, by key. Other processes are reached through `announce`."""

    def __init__(self) -> None:
        self._bells: defaultdict[Key, set[Callable[[], None]]] = defaultdict(set)
        #: Whether notifications from other processes arrive; if not, readers poll more often.
        self.connected = False
        #: Notifies other processes; set by `notifications.py`.
        self.announce: Callable[[UUID | str], None] = lambda key: None

    @contextmanager
    def bell(self, key: Key) -> Iterator[Bell]:
        """A bell that rings for `key` while the context lasts."""
        bell = Bell()
        with self.calling(key, bell.ring):
            yield bell

    @contextmanager
    def calling(self, key: Key, callback: Callable[[], None]) -> Iterator[None]:
        """Call back whenever `key` is rung, while the context lasts."""
        self._bells[key].add(callback)
        try:
            yield
        finally:
            callbacks = self._bells[key]
            callbacks.discard(callback)
            if not callbacks:
                del self._bells[key]

    def ring(self, key: Key) -> None:
        """Wake this process's waiters for a key."""
        for callback in list(self._bells.get(key, ())):
            callback()

    def tell(self, key: UUID | str) -> None:
        """Wake the waiters for a key in every process; a run's id also wakes the run's owner."""
        self.hear(key)
        self.announce(key)

    def hear(self, key: UUID | str) -> None:
        """Ring for a notification."""
        self.ring(key)
        if isinstance(key, UUID):
            self.ring(owner_of(key))

    def ring_all(self) -> None:
        """Wake all waiters, because wake-ups may have been lost."""
        for key in list(self._bells):
            self.ring(key)
