"""Waiting for something that may hang, without holding up anything. Pure."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


async def within(seconds: float, work: Callable[[], bool]) -> bool:
    """What `work` returns; False if it takes longer. Its thread is left to itself then, and no exit waits for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bool] = loop.create_future()

    def finish(result: bool) -> None:
        if not done.done():
            done.set_result(result)

    def call() -> None:
        try:
            result = work()
        except Exception:
            result = False
        with suppress(RuntimeError):  # the loop closed meanwhile
            loop.call_soon_threadsafe(finish, result)

    threading.Thread(target=call, name="traces-flush", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await done
    except TimeoutError:
        return False
