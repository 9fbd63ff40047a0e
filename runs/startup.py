"""What the runtime does once it is open and before the first request is served; armed by `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runs.manager import RunManager

Step = Callable[["RunManager"], Awaitable[None]]

_steps: list[Step] = []


def on_startup(step: Step) -> None:
    """Arm a step. Nothing is executed now: `ready()` also runs for `migrate` and `--help`."""
    if step not in _steps:
        _steps.append(step)


def steps() -> list[Step]:
    return list(_steps)
