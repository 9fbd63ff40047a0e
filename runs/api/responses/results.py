"""The result of a run, as `wait` and `join` answer it (wire protocol §2.6)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runs.encoding import encode
from runs.models import Run, RunStatus
from runs.process.current import current
from runs.protocols.errors import shown_message
from runs.protocols.results import GONE, with_interrupts


async def wait_for_result(run_id: UUID) -> str:
    """Wait until a run is terminal or deleted; return its result as JSON.

    The result is the thread's values, with `__interrupt__` if the graph has raised interrupts. A
    failed run's result is `__error__` alone.
    """
    hub = current().hub
    stream = hub.executing(run_id)
    if stream is not None:
        await stream.ended()
        if stream.result is not None:
            return stream.result
    await hub.settled(run_id)
    return encode(await hub.read(_stored, run_id))


def _stored(run_id: UUID) -> Any:
    run = Run.objects.select_related("thread").filter(id=run_id).first()
    if run is None:
        return GONE
    thread = run.thread
    if run.status in (RunStatus.ERROR, RunStatus.TIMEOUT):
        error = thread.error or (run.error and {**run.error, "message": shown_message(run.error)})
        return {"__error__": error and {name: each for name, each in error.items() if name != "shown"}}
    return with_interrupts(thread.values if thread.values is not None else {}, thread.interrupts)
