"""Tells a reader of a whole thread when to read it again, until the thread is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from uuid import UUID

from runs.conf import settings
from runs.exceptions import ServerClosing
from runs.process.current import current


async def changes(thread_id: UUID, look: Callable[[], object], *, every: float = 0.0) -> AsyncGenerator[None]:
    """Yield at the start, whenever a thread may have changed, and at least once per heartbeat's
    time.

    Args:
        look: Reads from the database any value that differs once the thread has changed; None when
            the thread is deleted, which ends the iteration.
        every: How often to look if no wake-up arrives, in seconds.

    Raises ServerClosing when this server shuts down.
    """
    runtime = current()
    now = asyncio.get_running_loop().time
    seen: object = None
    told, quiet_until = True, 0.0
    with runtime.wakeups.bell(thread_id) as bell:
        while not runtime.hub.closed:
            bell.clear()
            found = await runtime.hub.read(look)
            if found is None:
                return
            if told or found != seen or now() >= quiet_until:
                seen = found
                yield
                quiet_until = now() + settings.STREAM_HEARTBEAT
            told = await bell.wait(max(0.0, min(max(runtime.hub.poll, every), quiet_until - now())))
    raise ServerClosing
