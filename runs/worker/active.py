"""The runs that this process executes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from runs.events.buffer import RunStream
from runs.execution.attempt import Execution


@dataclass(slots=True)
class Active:
    """A run that this process executes."""

    execution: Execution
    stream: RunStream
    task: asyncio.Task[None]


#: By run id.
ActiveRuns = dict[UUID, Active]
