"""The parts of a graph's events that clients may see. Pure: no Django, no database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from threads.disclosure import HIDDEN, shown_error

#: The shown keys of a checkpoint's `configurable`: its place and its run. All others may be a client's
#: secrets.
SHOWN_CONFIGURABLE = frozenset(
    [
        "thread_id",
        "checkpoint_id",
        "checkpoint_ns",
        "checkpoint_map",
        "run_id",
        "assistant_id",
        "graph_id",
        "user_id",
    ]
)
#: The keys of these that form a checkpoint's address.
ADDRESS = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")


def discloses_interrupt(mode: str, data: Any) -> bool:
    """Whether an event shows an interrupt of the graph.

    Such events are published together with the run's end, so that the thread's row has every
    interrupt that a client has seen, and an answer can refer to it.
    """
    if not isinstance(data, Mapping):
        return False
    match mode:
        case "values" | "updates":
            return "__interrupt__" in data
        case "tasks":
            return bool(data.get("interrupts"))
        case "checkpoints":
            return any(task.get("interrupts") for task in data.get("tasks", ()))
        case "debug":
            payload = data.get("payload") or {}
            return discloses_interrupt("tasks", payload) or discloses_interrupt("checkpoints", payload)
        case "events":
            chunk = (data.get("data") or {}).get("chunk")
            return isinstance(chunk, tuple) and len(chunk) > 1 and discloses_interrupt(chunk[-2], chunk[-1])
    return False


def without_internals(mode: str, data: Any) -> Any:
    """An event without LangGraph's live objects and without clients' values of `configurable`."""
    if not isinstance(data, dict):
        return data
    match mode:
        case "tasks":
            return _disclosed(data)
        case "tools" if data.get("event") == "tool-error":
            # LangGraph omits the exception's class here, which decides whether clients may read its text.
            return {**data, "message": HIDDEN}
        case "debug" if data.get("type") == "task_result":
            return {**data, "payload": _disclosed(data["payload"])}
        case "debug" if data.get("type") == "checkpoint":
            return {**data, "payload": _placed(without_internals("checkpoints", data["payload"]))}
        case "checkpoints":
            return _addressed(data)
        case "events":
            body = data.get("data") or {}
            if body.get("error") is not None:
                body = _disclosed(body)
                data = {**data, "data": body}
            chunk = body.get("chunk")
            if isinstance(chunk, tuple) and len(chunk) > 1 and isinstance(chunk[-2], str):
                shown = (*chunk[:-1], without_internals(chunk[-2], chunk[-1]))
                return {**data, "data": {**body, "chunk": shown}}
    return data


def _disclosed(task: dict[str, Any]) -> dict[str, Any]:
    """A task with its error in the clients' form."""
    error = task.get("error")
    return task if error is None else {**task, "error": shown_error(error)}


def _addressed(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint whose configurations, including its tasks', have only the shown keys."""
    shown = dict(checkpoint)
    for key in ("config", "parent_config", "state"):
        if isinstance(config := shown.get(key), dict) and isinstance(config.get("configurable"), dict):
            kept = {name: each for name, each in config["configurable"].items() if name in SHOWN_CONFIGURABLE}
            shown[key] = {**config, "configurable": kept}
    if isinstance(shown.get("tasks"), list | tuple):
        shown["tasks"] = [
            _disclosed(_addressed(task)) if isinstance(task, dict) else task for task in shown["tasks"]
        ]
    return shown


def _placed(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of the mode `debug`, with addresses of it, its parent and its tasks' subgraphs.

    Expects configurations that are `_addressed`.
    """
    tasks = []
    for task in checkpoint.get("tasks") or ():
        place = _place(task.get("state"))
        rest = {name: each for name, each in task.items() if name != "state"}
        tasks.append(task if place is None else {**rest, "checkpoint": place})
    return {
        **checkpoint,
        "tasks": tasks,
        "checkpoint": _place(checkpoint.get("config")),
        "parent_checkpoint": _place(checkpoint.get("parent_config")),
    }


def _place(config: Any) -> dict[str, Any] | None:
    configurable = config.get("configurable") if isinstance(config, Mapping) else None
    return {name: configurable[name] for name in ADDRESS if name in configurable} if configurable else None
