"""'Something changed', told to whoever waits in this process. Nothing is lost by a lost wake-up: waiters also look."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

#: The key of "there may be a run to claim".
WORK = "work"
#: The keys of "a schedule changed" and "a webhook is to be sent". They are rung in one process; the others look now and then.
CRONS, WEBHOOKS = "crons", "webhooks"
#: A run's id for those who read it; `owner_of(run id)` for the one who executes it; or one of the words above.
Key = UUID | str | tuple[str, UUID]


def owner_of(run_id: UUID) -> Key:
    """The key of "something was asked of this run", for the process that executes it."""
    return ("owner", run_id)


class Bell:
    """Rings once something changed since `clear()`: clear it, look, and only then wait, and no change is missed."""

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
    """The bells of this process, by key. Others' processes are reached through `announce`."""

    def __init__(self) -> None:
        self._bells: defaultdict[Key, set[Callable[[], None]]] = defaultdict(set)
        #: Whether changes that other processes make are heard as they happen; else readers look more often.
        self.connected = False
        #: Tells other processes; set by what connects them (`notifications.py`).
        self.announce: Callable[[UUID | str], None] = lambda key: None

    @contextmanager
    def bell(self, key: Key) -> Iterator[Bell]:
        """A bell that hears of `key` while the context lasts."""
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
        """Wake those who wait for a key in this process."""
        for callback in list(self._bells.get(key, ())):
            callback()

    def tell(self, key: UUID | str) -> None:
        """Wake those who wait for a key, in every process; a run's id also reaches the run's owner."""
        self.hear(key)
        self.announce(key)

    def hear(self, key: UUID | str) -> None:
        """Ring for what somebody told."""
        self.ring(key)
        if isinstance(key, UUID):
            self.ring(owner_of(key))

    def ring_all(self) -> None:
        """Let everybody look: wake-ups may have been lost."""
        for key in list(self._bells):
            self.ring(key)
