"""What a process does before it executes runs; armed by `AppConfig.ready()`, done once everything is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

#: What is done, given the id of this process's worker.
Step = Callable[[UUID], Awaitable[None]]

_steps: list[Step] = []


def on_startup(step: Step) -> None:
    """Arm a step. Nothing is executed now: `ready()` also runs for `migrate` and `--help`."""
    if step not in _steps:
        _steps.append(step)


async def perform(worker_id: UUID) -> None:
    """Do the steps in the order in which they were armed."""
    for step in _steps:
        await step(worker_id)
