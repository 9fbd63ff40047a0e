"""What a command line sets for this process's worker. Imports no model, because commands parse it
first.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """This process's deviations from the settings; None where the setting applies."""

    #: Runs that the worker executes at once.
    concurrency: int | None = None
    #: The only queues whose runs the worker claims; None for all.
    queues: frozenset[str] | None = None
    #: How long the worker's drain may take, in seconds.
    drain_seconds: float | None = None
    #: The number of runs after which the worker claims no more; `RunManager.enough` is set when the last one
    #: has ended.
    max_runs: int | None = None
