"""A runtime for the verbs that open graphs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from django.db import connections

from runs.process.current import Runtime

T = TypeVar("T")


def in_runtime(work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do something in a process that serves and executes nothing."""
    # Not above: it imports the graphs' libraries, which take a second.
    from runs.worker.opening import open_runtime

    async def opened() -> T:
        async with open_runtime(execute=False) as runtime:
            return await work(runtime)

    # The event loop will run in this thread, where Django forbids using or closing a connection.
    connections.close_all()
    return asyncio.run(opened())
