"""Edits of anyone's thread by an operator, who continues from them with a new run. The caller records who it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from langgraph.types import StateUpdate

from runs.exceptions import NotFound, ThreadBusy
from runs.process.current import current
from runs.requests.run import ContradictoryRequest
from runs.states.edits import TRIES, Change, Supersteps, commit, prepare, refuse_busy
from runs.states.inputs import changes
from threads.db.database import in_database
from threads.models import Thread

#: LangGraph's name for an update that copies a checkpoint.
COPY = "__copy__"


async def edit_as_operator(
    thread_id: UUID, values: Any, *, as_node: str | None, checkpoint: Mapping[str, Any]
) -> dict[str, Any]:
    """Apply one update at a checkpoint of anyone's thread; return the new checkpoint's address.

    Raises like `runs.states.edits.update_state`.
    """
    return await _edit(thread_id, [[StateUpdate(values, as_node)]], checkpoint)


async def edit_input(
    thread_id: UUID, given: Mapping[str, Any], *, task_id: str, checkpoint: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Copy the checkpoint at which a step began, with other values as the input of its steps; return the
    copy's address and the names of what differs.

    Unlike an update, this calls no reducer and no branch: the copy has the given values, and the same
    steps are next. Raises like `runs.states.edits.update_state`, and InvalidRequest if a value cannot
    be edited.

    Args:
        given: Values by their names in the state, as JSON. What is hidden in them as a secret is kept.
        task_id: The step; the checkpoint must have it next.
    """
    edited: list[str] = []

    async def change(graph: Any, config: Any) -> Mapping[str, Any]:
        state = await graph.aget_state(config)
        if task_id not in {task.id for task in state.tasks}:
            raise ContradictoryRequest("The thread no longer has the checkpoint at which this step began.")
        stored = await graph.checkpointer.aget_tuple(config)
        found = changes(given, stored.checkpoint["channel_values"], graph.channels)
        edited[:] = sorted(found)
        return found

    place = await _edit(thread_id, [[StateUpdate(None, COPY)]], checkpoint, change)
    return place, edited


async def _edit(
    thread_id: UUID, supersteps: Supersteps, checkpoint: Mapping[str, Any], change: Change | None = None
) -> dict[str, Any]:
    for _ in range(TRIES):
        thread = await in_database(_visible, thread_id)
        prepared = await prepare(thread, supersteps, user=None, checkpoint=checkpoint, change=change)
        if await in_database(commit, thread, prepared):
            current().wakeups.tell(thread_id)
            return prepared.place
    raise ThreadBusy(f"Thread {thread_id} is being changed by others; try again.")


def _visible(thread_id: UUID) -> Thread:
    thread = Thread.objects.visible().filter(id=thread_id).first()
    if thread is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    refuse_busy(thread)
    return thread
