"""One process of the fleet, and what it was last seen to do."""

from __future__ import annotations

from dataclasses import dataclass

from tests.processes.harness import HEALTH, Process


@dataclass
class Member:
    """One process, in a slot that another one fills when it is gone."""

    kind: str
    process: Process
    began: float
    paused: bool = False
    started: bool = False
    #: Until when it must have ended; 0 for one that nobody asked to.
    deadline: float = 0.0

    def has_started(self) -> bool:
        """Whether it has said that it serves."""
        return bool(HEALTH.search(self.process.output) or "Listening on" in self.process.output)
