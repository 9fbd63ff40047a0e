"""A thread's state, read through its graph, in the shape of the reference server's ThreadState."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from langgraph.types import PregelTask, StateSnapshot

from threads.disclosure import shown_error
from threads.models import Thread, ThreadStatus
from threads.state.snapshots import history

#: The fields of a checkpoint's address that clients see.
ADDRESS = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")
#: Those fields that checkpoints' metadata contain too.
PLACE = ("thread_id", "checkpoint_ns")


class Graphs(Protocol):
    """Opens a graph by name, with a saver to read through.

    `runs` implements it: the registry of graphs is there, and `threads` never imports `runs`.
    """

    def __call__(self, name: str, config: Any) -> AbstractAsyncContextManager[Any]: ...


async def read_state(
    thread: Thread,
    *,
    open_graph: Graphs,
    subgraphs: bool = False,
    checkpoint: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the state at a checkpoint, or the latest.

    The empty state if no graph has run on the thread.
    """
    graph_id = thread.metadata.get("graph_id")
    if not graph_id:
        return empty_state()
    config = address(thread, checkpoint)
    async with open_graph(graph_id, config) as graph:
        snapshot = await graph.aget_state(config, subgraphs=subgraphs)
    return thread_state(snapshot)


async def read_history(
    thread: Thread,
    *,
    open_graph: Graphs,
    limit: int,
    before: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    checkpoint_ns: str = "",
) -> AsyncGenerator[dict[str, Any]]:
    """Yield the states of one namespace, newest first. Each is read lazily.

    Args:
        before: Only states older than this checkpoint.
        metadata: Values that the checkpoints' metadata must contain.
    """
    graph_id = thread.metadata.get("graph_id")
    if not graph_id:
        return
    place = {"thread_id": str(thread.id), "checkpoint_ns": checkpoint_ns}
    stored = dict(metadata or {})
    if any(stored.pop(key, each) != each for key, each in place.items()):
        return
    config = address(thread, {"checkpoint_ns": checkpoint_ns})
    async with open_graph(graph_id, config) as graph:
        async for snapshot in history(graph, config, limit=limit, before=before, metadata=stored):
            yield thread_state(snapshot)


def address(thread: Thread, checkpoint: Mapping[str, Any] | None = None) -> Any:
    """The configuration that addresses a checkpoint, always of this thread."""
    configurable: dict[str, Any] = {"thread_id": str(thread.id)}
    owner = {"user_id": str(thread.user_id)}
    for key in ("checkpoint_id", "checkpoint_ns", "checkpoint_map"):
        if checkpoint and checkpoint.get(key) is not None:
            configurable[key] = checkpoint[key]
    # The user whose store the graph is opened with.
    return {"configurable": configurable, "metadata": owner}


def empty_state() -> dict[str, Any]:
    return {
        "values": {},
        "next": [],
        "tasks": [],
        "metadata": None,
        "created_at": None,
        "checkpoint": None,
        "parent_checkpoint": None,
        "interrupts": [],
        "checkpoint_id": None,
        "parent_checkpoint_id": None,
    }


def thread_state(snapshot: StateSnapshot) -> dict[str, Any]:
    """LangGraph's snapshot as clients receive it (wire protocol §5)."""
    checkpoint, parent = _address(snapshot.config), _address(snapshot.parent_config)
    if snapshot.created_at is None and not (checkpoint and checkpoint.get("checkpoint_id")):
        return empty_state()
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": _placed(snapshot.metadata, checkpoint or {}),
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": [interrupt_json(each) for each in snapshot.interrupts],
        "checkpoint_id": checkpoint.get("checkpoint_id") if checkpoint else None,
        "parent_checkpoint_id": parent.get("checkpoint_id") if parent else None,
    }


def asking(state: Mapping[str, Any], asked: Collection[str]) -> dict[str, Any]:
    """A state with only the interrupts of these ids, also in its subgraphs."""
    return {
        **state,
        "interrupts": [each for each in state["interrupts"] if each["id"] in asked],
        "tasks": [
            {
                **task,
                "interrupts": [each for each in task["interrupts"] if each["id"] in asked],
                "state": task["state"] and asking(task["state"], asked),
            }
            for task in state["tasks"]
        ],
    }


def standing(snapshot: StateSnapshot) -> dict[str, Any]:
    """The columns of a thread's row for its current state, with `values` unencoded."""
    interrupts = {
        task.id: [interrupt_json(each) for each in task.interrupts]
        for task in snapshot.tasks
        if task.interrupts
    }
    rest = ThreadStatus.INTERRUPTED if snapshot.tasks else ThreadStatus.IDLE
    return {
        "values": snapshot.values,
        "interrupts": interrupts,
        "status": rest,
        "resting_status": rest,
        "error": None,
        "stale_since": None,
    }


def _placed(metadata: Any, place: Mapping[str, Any]) -> dict[str, Any] | None:
    """A checkpoint's metadata with its address, as on the reference server; LangGraph omits it.

    It is added here and not stored, because a copy of a thread has the same checkpoints.
    """
    if metadata is None:
        return None
    return {**metadata, **{key: place[key] for key in PLACE if place.get(key)}}


def _address(config: Any) -> dict[str, Any] | None:
    configurable = (config or {}).get("configurable") or {}
    return {key: configurable[key] for key in ADDRESS if configurable.get(key) is not None} or None


def interrupt_json(interrupt: Any) -> dict[str, Any]:
    """An interrupt as clients receive it: with the schema of its answer, if the graph gave one."""
    schema = getattr(interrupt, "response_schema", None)
    shown = {"id": interrupt.id, "value": interrupt.value}
    return shown if schema is None else {**shown, "response_schema": schema}


def _task(task: PregelTask) -> dict[str, Any]:
    nested = task.state if isinstance(task.state, StateSnapshot) else None
    return {
        "id": task.id,
        "name": task.name,
        "path": list(task.path),
        "error": shown_error(task.error) if task.error is not None else None,
        "interrupts": [interrupt_json(each) for each in task.interrupts],
        "checkpoint": _address(task.state) if isinstance(task.state, dict) else None,
        "state": thread_state(nested) if nested is not None else None,
        "result": task.result,
    }
