"""An alarm for a blocked event loop: nothing else in the process can tell, for nothing else in it goes on.

A node that computes or sleeps without awaiting stops every run, reader and heartbeat of its process; once it has lasted
for the lease, other processes take the runs over. The log then names the line that it stands in.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from runs.conf import settings
from runs.metrics import loop_lag

logger = logging.getLogger(__name__)

#: How often the loop is asked for a sign of life, in shares of `LOOP_ALARM`.
SHARE = 4
#: How long a loop may take to show that only its process was paused, in seconds.
SECOND_CHANCE = 0.2
#: Innermost frames of the blocked loop that the alarm shows.
FRAMES = 12


@contextmanager
def watched_loop() -> Iterator[None]:
    """Watch the running loop from a thread of its own, while the context lasts."""
    limit = settings.LOOP_ALARM
    if not limit:
        yield
        return
    watchdog = _Watchdog(asyncio.get_running_loop(), limit)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.over.set()


class _Watchdog(threading.Thread):
    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.over = threading.Event()
        self._loop, self._limit = loop, limit
        self._thread_id = threading.get_ident()

    def run(self) -> None:
        alive = threading.Event()
        while not self.over.wait(self._limit / SHARE):
            alive.clear()
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(alive.set)
            except RuntimeError:
                return  # the loop is closed
            # The second chance is for a process that was paused as a whole, and now wakes.
            if not alive.wait(self._limit) and not alive.wait(SECOND_CHANCE) and not self.over.is_set():
                self._raise_alarm()
                alive.wait()
            loop_lag.note(time.monotonic() - asked)

    def _raise_alarm(self) -> None:
        frame = sys._current_frames().get(self._thread_id)
        stack = "".join(traceback.format_stack(frame)[-FRAMES:]) if frame is not None else ""
        logger.error(
            "The event loop has been blocked for %g s: no run of this process goes on meanwhile, and after %g s others "
            "take them over. Await what takes time, or call it by asyncio.to_thread. It stands here:\n%s",
            self._limit,
            settings.LEASE,
            stack,
        )
