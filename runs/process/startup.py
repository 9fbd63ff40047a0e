"""Steps of a process before it executes runs; registered by `AppConfig.ready()`, executed once
everything is open. And what is open while it executes runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from uuid import UUID

#: A step; it gets the id of this process's worker.
Step = Callable[[UUID], Awaitable[None]]

#: Opened before the first run of the process, and closed after the last one was drained.
Surrounding = Callable[[], AbstractAsyncContextManager[object]]

_steps: list[Step] = []
_surroundings: list[Surrounding] = []


def on_startup(step: Step) -> None:
    """Register a step. It is not executed now, because `ready()` also runs for `migrate` and
    `--help`.
    """
    if step not in _steps:
        _steps.append(step)


async def perform(worker_id: UUID) -> None:
    """Execute the steps in the order in which they were registered."""
    for step in _steps:
        await step(worker_id)


def on_open(surrounding: Surrounding) -> None:
    """Register what is open while this process executes runs."""
    if surrounding not in _surroundings:
        _surroundings.append(surrounding)


@asynccontextmanager
async def surroundings() -> AsyncIterator[None]:
    """Open what was registered."""
    async with AsyncExitStack() as stack:
        for each in _surroundings:
            await stack.enter_async_context(each())
        yield
