"""A place for one run of a client of this process."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from runs.models import Run

if TYPE_CHECKING:
    from runs.worker.manager import RunManager


@dataclass(slots=True)
class Slot:
    """A place for one run, reserved before its admission so that it can be claimed in the same transaction."""

    manager: RunManager
    worker_id: UUID

    @property
    def queues(self) -> Collection[str] | None:
        """The queues that this worker serves; None for all."""
        return self.manager.options.queues

    def start(self, run: Run) -> None:
        self.release()
        self.manager.start(run, asked_here=True)

    def release(self) -> None:
        self.manager.reserved -= 1
