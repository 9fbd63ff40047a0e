"""Decides how an attempt ended, from what actually happened. Pure: no queries."""

from __future__ import annotations

import asyncio
import logging

from langgraph.errors import GraphDrained

from runs.conf import settings
from runs.encoding import encode
from runs.lifecycle.outcomes import Ending, Outcome, Stop
from runs.models import CancelAction, Run
from runs.protocols.errors import describe, failure_of
from threads.checkpoints import Fenced, StorageFailed, StorageUnavailable

logger = logging.getLogger(__name__)


class RunTimeout(Exception):
    """The run reached one of its time limits."""


def decide(
    run: Run,
    *,
    stopped: Stop | None,
    error: BaseException | None,
    finished: bool,
    limit: str = "",
    write_error: Exception | None = None,
    requeued: bool = False,
) -> Outcome:
    """Return how an attempt ended. A graph that finished before a stop took effect counts as
    finished.

    Args:
        stopped: Why the attempt was stopped from outside.
        error: The exception of the graph's task; None if it has none, or was abandoned.
        finished: Whether the graph was executed to its end.
        limit: The time limit that was reached, in words.
        write_error: The checkpoint storage's failure, if there was one.
        requeued: Whether a person asked that the run goes back to `pending` at its next step.
    """
    if stopped is Stop.LOST or isinstance(error, Fenced):
        return Outcome(Ending.LOST)
    if finished:
        return Outcome(Ending.SUCCESS)
    if isinstance(error, GraphDrained):
        return Outcome(Ending.DRAINED) if requeued else _drained()
    match stopped:
        case Stop.CANCEL:
            rollback = run.cancel_action == CancelAction.ROLLBACK
            return Outcome(Ending.ROLLED_BACK if rollback else Ending.INTERRUPTED)
        case Stop.DRAIN:
            return _drained()
        case Stop.LEASE:
            # Its end was not requested, so the next worker that claims the run continues it.
            return Outcome(Ending.DRAINED)
        case Stop.TIMEOUT:
            return failure(RunTimeout(limit), Ending.TIMEOUT)
        case Stop.STORAGE:
            error = write_error or StorageFailed()
    if isinstance(error, StorageUnavailable) and run.resumable:
        # The saved checkpoints are there once the storage is available again, so the run is requeued, as
        # after a process died.
        return Outcome(Ending.DRAINED, charged=True)
    if stopped is Stop.STORAGE and error is not None:
        return failure(error)
    if error is None or isinstance(error, asyncio.CancelledError):
        error = RuntimeError("The graph cancelled itself.")
    logger.error("Run %s failed.", run.id, exc_info=error)
    return failure(error)


def failure(error: BaseException, ending: Ending = Ending.ERROR) -> Outcome:
    """Return the outcome of a failed attempt, with the error event for the run's readers."""
    shown, detail = describe(error)
    return Outcome(
        ending, error=shown, detail=detail, failure=failure_of(error), events=[("error", encode(shown))]
    )


def _drained() -> Outcome:
    return Outcome(Ending.INTERRUPTED if settings.ON_SHUTDOWN == "interrupt" else Ending.DRAINED)
