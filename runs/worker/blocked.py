"""Requeues the runs that a blocked event loop holds up, all except the one that blocks it, without
charging an attempt.

Otherwise the exit of the process would charge each of them an attempt, and one run that blocks
three processes in a row would end all runs beside it in an error.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from types import FrameType
from uuid import UUID

from django.db import connection

from runs.lifecycle import orphan_settlement
from runs.models import Run, RunStatus
from runs.process.notifications import notify_after_commit
from runs.process.wakeups import WORK

logger = logging.getLogger(__name__)


def blocking_run(frame: FrameType | None, run_ids: Collection[UUID]) -> UUID | None:
    """Which of these runs the event loop's thread executes; None if its frames do not show it.

    LangGraph passes a node's config, which names the run, through several of its own functions.
    """
    names = {str(run_id): run_id for run_id in run_ids}
    while frame is not None:
        config = frame.f_locals.get("config")
        metadata = config.get("metadata") if isinstance(config, dict) else None
        if isinstance(metadata, dict) and (found := names.get(str(metadata.get("run_id")))):
            return found
        frame = frame.f_back
    return None


def hand_back_others(worker_id: UUID, frame: FrameType | None) -> None:
    """Requeue a worker's runs except the one that blocks its loop; none if that one is not known."""
    try:
        running = Run.objects.filter(worker=worker_id, status=RunStatus.RUNNING)
        found = {run.id: run for run in running.defer("kwargs", "metadata", "base")}
        blocking = blocking_run(frame, found)
        if blocking is None:
            return
        others = [run for run in found.values() if run.id != blocking]
        handed, _ = orphan_settlement.requeue_orphans(others, charge=False)
        logger.error(
            "Run %s blocks the event loop; %s other runs of this process were handed back.",
            blocking,
            len(handed),
        )
        notify_after_commit([WORK])
    finally:
        connection.close()
