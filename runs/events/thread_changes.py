"""When somebody who reads a whole thread has to look at it again: its runs one after the other, until it is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from uuid import UUID

from runs.conf import settings
from runs.exceptions import ServerClosing
from runs.process.current import current


async def changes(thread_id: UUID, look: Callable[[], object], *, every: float = 0.0) -> AsyncGenerator[None]:
    """Yield whenever there may be something new on a thread, at the start too, and after a heartbeat's time in any case.

    Args:
        look: Asks the database what the thread has come to, in any form that differs once something is new; None when
            it is gone, and that is the end.
        every: How often to look at least when nobody told of a change, in seconds.

    Raises ServerClosing when this server ends.
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
