"""How long an attempt may take, and how long it may do nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runs.conf import settings


class Deadlines:
    """Reports once when an attempt has reached a limit.

    Args:
        reached: Called with a sentence that names the limit.
        moved: Returns when the graph last streamed something, in the loop's time. A graph streams
            at the end of each step, and while models generate.
    """

    def __init__(self, reached: Callable[[str], None], *, moved: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._reached = reached
        self._moved = moved
        self._idle = settings.IDLE_TIMEOUT
        self._timers: dict[str, asyncio.TimerHandle] = {}
        if limit := settings.RUN_TIMEOUT:
            message = f"The run reached its limit of {limit:g} s."
            self._timers["run"] = self._loop.call_later(limit, self._end, message)
        if self._idle:
            self._timers["idle"] = self._loop.call_later(self._idle, self._look)

    def _look(self) -> None:
        left = self._moved() + self._idle - self._loop.time()
        if left <= 0:
            self._end(f"The run did nothing for {self._idle:g} s.")
        else:
            self._timers["idle"] = self._loop.call_later(left, self._look)

    def _end(self, message: str) -> None:
        self.cancel()
        self._reached(message)

    def cancel(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
