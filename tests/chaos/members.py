"""One process of the fleet, and its last known condition."""

from __future__ import annotations

from dataclasses import dataclass

from tests.processes.harness import HEALTH, Process


@dataclass
class Member:
    """One process in a slot; another one replaces it after its end."""

    kind: str
    process: Process
    began: float
    paused: bool = False
    started: bool = False
    #: When it must have ended; 0 if it was not stopped.
    deadline: float = 0.0

    def has_started(self) -> bool:
        """Whether it has reported that it serves."""
        return bool(HEALTH.search(self.process.output) or "Listening on" in self.process.output)
