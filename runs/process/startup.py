"""Steps of a process before it executes runs; registered by `AppConfig.ready()`, executed once
everything is open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

#: A step; it gets the id of this process's worker.
Step = Callable[[UUID], Awaitable[None]]

_steps: list[Step] = []


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
