"""The log's items: what protocols need beyond the events that a run's creator requested. Pure.

An item is `[mode, namespace, time, data]`, as JSON. A row of the log holds many items, under a name
that is no stream mode (`PACK`). Items contain the minimum from which `projection.py` can derive the
rest: a message chunk's non-empty fields, a checkpoint's place in the tree, and a reference to a
task's input, which is nearly always the state that has just been streamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from runs.encoding import encode

Namespace = tuple[str, ...]

#: The name of the log's rows that hold items.
PACK: Final = "+"
#: The reference to a task's input: these keys of the latest values of its namespace.
OF_VALUES: Final = "__of_values__"
#: Stream modes that are kept as items if the run's creator did not request them.
MODES: Final = frozenset(
    {"values", "updates", "messages", "custom", "tasks", "checkpoints", "tools"}
)  #: Items for operators, which projections skip: a log line of the graph's code, the begin or the end of a
#: model's call, with the namespace of its node, and the error of a tool's call, which clients may not read.
LOG: Final = "log"
MODEL: Final = "model"
TOOL: Final = "tool"

#: The fields of a message, or of a chunk of one, that a projection needs.
MESSAGE_FIELDS = (
    "content",
    "tool_calls",
    "invalid_tool_calls",
    "tool_call_chunks",
    "usage_metadata",
    "response_metadata",
    "additional_kwargs",
    "chunk_position",
)


class Compactor:
    """Makes the items of one attempt, in the order in which the graph streams."""

    def __init__(self) -> None:
        self._values: dict[Namespace, Mapping[str, Any]] = {}

    def note_values(self, namespace: Namespace, values: Any) -> None:
        """Remember a state that the log has, as an item or as an event."""
        if isinstance(values, Mapping):
            self._values[namespace] = values

    def item(self, mode: str, namespace: Namespace, data: Any, *, now: float) -> str | None:
        """The item of one streamed event, as JSON; None if there is nothing to keep.

        Args:
            now: The time of the event, in seconds.
        """
        match mode:
            case "messages":
                data = _message(*data)
            case "checkpoints":
                data = checkpoint(data)
            case "tasks" if isinstance(data, Mapping) and "input" in data:
                data = self._task(namespace, data)
        return None if data is None else encode([mode, namespace, int(now * 1000), data])

    def _task(self, namespace: Namespace, task: Mapping[str, Any]) -> Mapping[str, Any]:
        given, values = task["input"], self._values.get(namespace)
        if not isinstance(given, dict) or not given or values is None:
            return task
        # By identity, because comparing states would cost more than writing them.
        if all(values.get(key) is each for key, each in given.items()):
            return {**task, "input": {OF_VALUES: list(given)}}
        return task


def pack(items: Iterable[str]) -> str:
    """The data of a row of items."""
    return f"[{','.join(items)}]"


def checkpoint(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """A checkpoint's place in its thread's tree, from LangGraph's `checkpoints` event."""
    configurable = (data.get("config") or {}).get("configurable") or {}
    if (checkpoint_id := configurable.get("checkpoint_id")) is None:
        return None
    place = {"id": checkpoint_id}
    parent = ((data.get("parent_config") or {}).get("configurable") or {}).get("checkpoint_id")
    if parent is not None:
        place["parent_id"] = parent
    metadata = data.get("metadata") or {}
    return {**place, "step": metadata.get("step", 0), "source": metadata.get("source", "loop")}


def _message(message: Any, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The required fields of a message or a chunk, with the node that streamed it."""
    kept = {"id": message.id, "type": message.type, "node": metadata.get("langgraph_node")}
    for name in MESSAGE_FIELDS:
        if each := getattr(message, name, None):
            kept[name] = each
    return kept
