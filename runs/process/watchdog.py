"""An alarm for a blocked event loop. It runs on a thread, because nothing on the loop can run then.

A node that computes or sleeps without awaiting stops every run, reader and heartbeat of its
process. After a lease, other processes take the runs over. The log shows the line that blocks.
After half a lease the other runs of the process are requeued (`runs.worker.blocked`). After a whole
lease the process exits, so that its supervisor restarts it. The run that blocked it loses an
attempt each time, and ends in an error after `MAX_ATTEMPTS`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from django.conf import settings as django_settings

from runs.conf import settings
from runs.process.metrics import loop_lag

logger = logging.getLogger(__name__)

#: How many times per `LOOP_ALARM` the loop is probed.
SHARE = 4
#: How long a loop may take to answer after its process was paused, in seconds.
SECOND_CHANCE = 0.2
#: Unit in which the time of a blocked loop is counted, in seconds; a pause of the process adds at most one
#: unit.
TICK = 0.5
#: The exit code of a process whose loop is blocked: an internal software error (`EX_SOFTWARE` of sysexits.h).
EXIT_CODE = 70
#: How long `on_stuck` may take, in seconds: a database that does not answer must not prevent the exit.
HANDING_BACK = 5.0
#: Innermost frames of the blocked loop that the alarm shows.
FRAMES = 12
#: Modules of debuggers that are loaded only during debugging.
DEBUGGERS = ("pydevd", "debugpy")

#: Called on a separate thread with the innermost frame of a loop that has been blocked for half a lease.
OnStuck = Callable[[FrameType | None], None]


@contextmanager
def watched_loop(on_stuck: OnStuck = lambda _: None) -> Iterator[None]:
    """Watch the running loop from a separate thread, while the context lasts."""
    limit = settings.LOOP_ALARM
    if not limit:
        yield
        return
    watchdog = _Watchdog(asyncio.get_running_loop(), limit, on_stuck)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.over.set()


class _Watchdog(threading.Thread):
    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float, on_stuck: OnStuck) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.over = threading.Event()
        self._loop, self._limit, self._on_stuck = loop, limit, on_stuck
        self._thread_id = threading.get_ident()
        self._exits = settings.LOOP_EXIT and not django_settings.DEBUG and sys.gettrace() is None

    def run(self) -> None:
        alive = threading.Event()
        while not self.over.wait(self._limit / SHARE):
            alive.clear()
            asked = time.monotonic()
            try:
                self._loop.call_soon_threadsafe(alive.set)
            except RuntimeError:
                return  # the loop is closed
            # The second chance is for a process that was paused as a whole, and has just resumed.
            if not alive.wait(self._limit) and not alive.wait(SECOND_CHANCE) and not self.over.is_set():
                self._raise_alarm()
                self._wait_or_exit(alive)
            loop_lag.note(time.monotonic() - asked)

    def _wait_or_exit(self, alive: threading.Event) -> None:
        """Wait for the loop; exit the process once it has been blocked for longer than the lease.

        By then other processes have its runs, or can take them after a restart. The exit lets a
        supervisor restart the process, because a blocked process answers no request and no signal.
        Time in which the whole process was paused does not count.
        """
        blocked, handed_back = self._limit, False
        while not alive.wait(TICK):
            blocked += TICK
            if not self._exits or self._debugged():
                continue
            if blocked > settings.LEASE / 2 and not handed_back:
                handed_back = True
                helper = threading.Thread(target=self._on_stuck, args=[self._frame()], daemon=True)
                helper.start()
                helper.join(HANDING_BACK)
            if blocked > settings.LEASE:
                logger.critical(
                    "The event loop has been blocked for longer than the lease of %g s. This process exits now, with "
                    "exit code %s; its runs continue elsewhere, or after a restart.",
                    settings.LEASE,
                    EXIT_CODE,
                )
                logging.shutdown()
                os._exit(EXIT_CODE)

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._thread_id)

    def _debugged(self) -> bool:
        """Whether the process is being debugged: a breakpoint must not cause an exit."""
        if any(name in sys.modules for name in DEBUGGERS):
            return True
        frame = self._frame()
        while frame is not None and frame.f_globals.get("__name__") != "bdb":
            frame = frame.f_back
        return frame is not None

    def _raise_alarm(self) -> None:
        frame = self._frame()
        stack = "".join(traceback.format_stack(frame)[-FRAMES:]) if frame is not None else ""
        logger.error(
            "The event loop has been blocked for %g s: no run of this process makes progress, and after %g s others "
            "take them over. Await slow calls, or run them with asyncio.to_thread. The loop is blocked here:\n%s",
            self._limit,
            settings.LEASE,
            stack,
        )
