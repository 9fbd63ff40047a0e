"""The turns of a thread for a reader who follows it: its runs and edits, one after the other.

Both streams of a thread (`agent_stream`, `thread_log`) read their turns here. Each defines which
turns it has and in what order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol, TypeVar
from uuid import UUID

from runs.conf import settings
from runs.exceptions import ServerClosing
from runs.process.current import current


class Turn(Protocol):
    """What a thread did, alone, for some time."""

    @property
    def terminal(self) -> bool:
        """Whether the turn was over when it was read."""


T = TypeVar("T", bound=Turn)


async def turns(
    thread_id: UUID, following: Callable[[], list[T]], look: Callable[[], object], *, every: float = 0.0
) -> AsyncGenerator[T | None]:
    """Yield a thread's turns in order, until the thread is deleted; None when there are no more now,
    or when nothing happened for a heartbeat's time.

    Args:
        following: Reads the turns that follow the last one that the reader has finished; empty if
            there are none.
        look, every: As in `changes`.

    Raises ServerClosing when this server shuts down.
    """
    hub = current().hub
    async with aclosing(changes(thread_id, look, every=every)) as looks:
        async for _ in looks:
            while found := await hub.read(following):
                for turn in found:
                    yield turn
                    if not turn.terminal:
                        # It may have moved behind turns that began while the reader followed it.
                        break
            yield None


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
