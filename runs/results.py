"""What a run came to, as `wait` and `join` answer it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runs.models import Run, RunStatus
from threads.database import in_database


async def result_of(run_id: UUID) -> Any:
    """The body of `wait` and `join` for a run that is terminal or gone (wire protocol §2.6).

    The thread's values; with `__interrupt__` when the graph asks something, and `__error__` alone when the run failed.
    """
    return await in_database(_result, run_id)


def _result(run_id: UUID) -> Any:
    run = Run.objects.select_related("thread").filter(id=run_id).first()
    if run is None:
        return {"__error__": {"error": "HTTPException", "message": "404: Run not found"}}
    thread = run.thread
    if run.status in (RunStatus.ERROR, RunStatus.TIMEOUT):
        return {"__error__": thread.error or {"error": "Error", "message": "The run failed."}}
    values = thread.values if thread.values is not None else {}
    questions = [question for asked in thread.interrupts.values() for question in asked]
    if questions and isinstance(values, dict):
        return {**values, "__interrupt__": questions}
    return values
