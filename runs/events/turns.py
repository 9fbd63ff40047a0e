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

#: By how much an idle reader's longest pause between looks exceeds the shortest.
LONGER = 8


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
        async for changed in looks:
            while changed and (found := await hub.read(following)):
                for turn in found:
                    yield turn
                    if not turn.terminal:
                        # It may have moved behind turns that began while the reader followed it.
                        break
            yield None


async def changes(thread_id: UUID, look: Callable[[], object], *, every: float = 0.0) -> AsyncGenerator[bool]:
    """Yield at the start, whenever a thread may have changed, and at least once per heartbeat's
    time; whether it may have changed.

    Args:
        look: Reads from the database any value that differs once the thread has changed; None when
            the thread is deleted, which ends the iteration.
        every: How often to look if no wake-up arrives, in seconds, for a look that tells every change:
            while all wake-ups arrive and nothing changes, up to eight times less often. By default
            always at the hub's pace, and each heartbeat counts as a change.

    Raises ServerClosing when this server shuts down.
    """
    runtime = current()
    now = asyncio.get_running_loop().time
    seen: object = None
    told, quiet_until, look_at = True, 0.0, 0.0
    pause = 0.0
    with runtime.wakeups.bell(thread_id) as bell:
        while not runtime.hub.closed:
            bell.clear()
            changed = told
            if told or now() >= look_at:
                found = await runtime.hub.read(look)
                if found is None:
                    return
                changed = told or found != seen
                seen = found
                shortest = max(runtime.hub.poll, every)
                rests = bool(every) and not changed and runtime.hears_all
                pause = min(pause * 2, shortest * LONGER) if rests else shortest
                look_at = now() + pause
            if changed or now() >= quiet_until:
                yield changed or not every
                quiet_until = now() + settings.STREAM_HEARTBEAT
            told = await bell.wait(max(0.0, min(look_at, quiet_until) - now()))
    raise ServerClosing
