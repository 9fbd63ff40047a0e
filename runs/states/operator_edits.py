"""Edits of anyone's thread by an operator, and what the operator does with them, such as a new run: both or neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from langgraph.types import StateUpdate

from runs.exceptions import NotFound, ThreadBusy
from runs.process.current import current
from runs.requests.run import ContradictoryRequest
from runs.states.edits import TRIES, Change, Supersteps, commit, prepare, refuse_busy
from runs.states.inputs import changes
from threads.db.database import in_database
from threads.models import Thread

T = TypeVar("T")
#: Called in the edit's transaction with the new checkpoint, as a run takes it. If it raises, nothing is edited.
Then = Callable[[Mapping[str, Any]], T]

#: LangGraph's name for an update that copies a checkpoint.
COPY = "__copy__"


async def edit_as_operator(
    thread_id: UUID,
    values: Any,
    *,
    as_node: str | None,
    checkpoint: Mapping[str, Any],
    then: Then[T],
) -> T:
    """Apply one update at a checkpoint of anyone's thread; return what `then` returned.

    Raises like `runs.states.edits.update_state`, and what `then` raises.
    """
    return await _edit(thread_id, [[StateUpdate(values, as_node)]], checkpoint, then)


async def edit_input(
    thread_id: UUID,
    given: Mapping[str, Any],
    *,
    task_id: str,
    checkpoint: Mapping[str, Any],
    then: Callable[[Mapping[str, Any], list[str]], T],
) -> T:
    """Copy the checkpoint at which a step began, with other values as the input of its steps; return what
    `then` returned for the copy and the names of what differs.

    Unlike an update, this calls no reducer and no branch: the copy has the given values, and the same
    steps are next. Raises like `runs.states.edits.update_state`, what `then` raises, and InvalidRequest if a
    value cannot be edited.

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

    superstep = [StateUpdate(None, COPY)]
    return await _edit(thread_id, [superstep], checkpoint, lambda place: then(place, edited), change)


async def _edit(
    thread_id: UUID,
    supersteps: Supersteps,
    checkpoint: Mapping[str, Any],
    then: Then[T],
    change: Change | None = None,
) -> T:
    for _ in range(TRIES):
        thread = await in_database(_visible, thread_id)
        prepared = await prepare(thread, supersteps, user=None, checkpoint=checkpoint, change=change)
        made: list[T] = []
        if await in_database(commit, thread, prepared, then=partial(_keep, made, then, prepared.place)):
            current().wakeups.tell(thread_id)
            return made[0]
    raise ThreadBusy(f"Thread {thread_id} is being changed by others; try again.")


def _keep(made: list[T], then: Then[T], place: Mapping[str, Any]) -> None:
    made.append(then({"checkpoint_id": place["checkpoint_id"]}))


def _visible(thread_id: UUID) -> Thread:
    thread = Thread.objects.visible().filter(id=thread_id).first()
    if thread is None:
        raise NotFound(f"Thread with ID {thread_id} not found")
    refuse_busy(thread)
    return thread
