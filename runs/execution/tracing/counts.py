"""How many spans of a process were sent, dropped or refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """What happened to a process's spans."""

    sent: int = 0
    #: The receiver did not take them, or not in time.
    failed: int = 0
    #: The queue was full.
    dropped: int = 0
