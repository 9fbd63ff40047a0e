"""What a command line says about this process's worker; apart from any model, for commands parse it first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What this process's worker does otherwise than the settings say; None where it does not."""

    #: Runs that it executes at once.
    concurrency: int | None = None
    #: It claims runs of these queues only; None for all.
    queues: frozenset[str] | None = None
    #: How long its drain may take, in seconds.
    drain_seconds: float | None = None
    #: It claims no more than so many runs; `RunManager.enough` says when the last one has ended.
    max_runs: int | None = None
