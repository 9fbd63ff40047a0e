"""Turns: at most a few calls of one user at once, so that the others' calls do not wait for all of them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable


class TooLongAwaited(Exception):
    """No turn came in time."""


class Turns:
    """Counts the calls of each user. Only the event loop uses it.

    Args:
        most: Calls of one user at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def take(self, whose: Hashable, *, seconds: float) -> Callable[[], None]:
        """Wait for a turn; return a function that gives it back, and may be called repeatedly.

        Raises TooLongAwaited.
        """
        if whose is None:
            return lambda: None
        if self._taken[whose] < self._most:
            self._taken[whose] += 1
        else:
            await self._wait(whose, seconds)
        taken = [whose]

        def give() -> None:
            if taken:
                self._give(taken.pop())

        return give

    async def _wait(self, whose: Hashable, seconds: float) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line = self._waiting.setdefault(whose, deque())
        line.append(mine)
        try:
            async with asyncio.timeout(seconds):
                await mine
        except BaseException as error:
            if mine.done() and not mine.cancelled():
                self._give(whose)
            elif mine in line:
                line.remove(mine)
            if isinstance(error, TimeoutError):
                raise TooLongAwaited from None
            raise
        finally:
            if not line and self._waiting.get(whose) is line:
                del self._waiting[whose]

    def _give(self, whose: Hashable) -> None:
        """Hand a turn over to the next call that waits, or free it."""
        line = self._waiting.get(whose, deque())
        while line:
            following = line.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._taken[whose] -= 1
        if not self._taken[whose]:
            del self._taken[whose]
