"""What a run came to, as `wait` and `join` answer it (wire protocol §2.6)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runs import runtime
from runs.cancellation import settled
from runs.models import Run, RunStatus
from runs.outcomes import Ending, Outcome
from runs.serialization import decode, encode
from threads.database import in_database

GONE = {"__error__": {"error": "HTTPException", "message": "404: Run not found"}}


async def wait_for_result(run_id: UUID) -> str:
    """Wait until a run is terminal or gone; return the JSON of what it came to.

    The thread's values; with `__interrupt__` when the graph asks something, and `__error__` alone when the run failed.
    """
    stream = runtime.current().hub.executing(run_id)
    if stream is not None:
        await stream.ended()
        if stream.result is not None:
            return stream.result
    await settled(run_id)
    return encode(await in_database(_stored, run_id))


def result_of(outcome: Outcome) -> str | None:
    """The same, from an outcome that was just written; None if it does not say all that the thread has."""
    if outcome.ending is Ending.ROLLED_BACK:
        return encode(GONE)
    if outcome.error is not None:
        return encode({"__error__": outcome.error})
    if outcome.values is None or outcome.ending is Ending.DRAINED:
        return None
    return (
        encode(_with_questions(decode(outcome.values), outcome.interrupts))
        if outcome.interrupts
        else outcome.values
    )


def _stored(run_id: UUID) -> Any:
    run = Run.objects.select_related("thread").filter(id=run_id).first()
    if run is None:
        return GONE
    thread = run.thread
    if run.status in (RunStatus.ERROR, RunStatus.TIMEOUT):
        return {"__error__": thread.error or run.error}
    return _with_questions(thread.values if thread.values is not None else {}, thread.interrupts)


def _with_questions(values: Any, interrupts: dict[str, Any]) -> Any:
    questions = [question for asked in interrupts.values() for question in asked]
    return {**values, "__interrupt__": questions} if questions and isinstance(values, dict) else values
