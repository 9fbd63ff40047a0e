"""The lifecycle of subgraphs, derived from their tasks. Pure.

A subgraph begins with the first task in its namespace. The namespace's last segment `node:task`
names the task of the parent graph that invoked it; the subgraph ends with that task's result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Namespace = tuple[str, ...]


class Subgraphs:
    """The subgraphs of one run, over all its attempts; a task has the same id in each attempt."""

    def __init__(self) -> None:
        self._names: dict[Namespace, str] = {}
        #: The open subgraphs, each with the task that invoked it.
        self._open: dict[Namespace, str] = {}
        self._calls: dict[str, str] = {}
        self.statuses: dict[Namespace, str] = {}

    def started(self, namespace: Namespace, task: Mapping[str, Any]) -> Json | None:
        """The start of the subgraph of a task's namespace, if this is its first task."""
        if call := _tool_call(task.get("input")):
            self._calls[str(task.get("id"))] = call
        if not namespace or namespace in self._names:
            return None
        node, _, invoker = namespace[-1].partition(":")
        if not invoker:
            return None
        agent = (task.get("metadata") or {}).get("lc_agent_name")
        self._names[namespace] = name = agent or node
        self._open[namespace] = invoker
        self.statuses[namespace] = "started"
        data: Json = {
            "event": "started",
            "namespace": list(namespace),
            "graph_name": name,
            "trigger_call_id": invoker,
        }
        if agent and (call := self._calls.get(invoker)):
            data["cause"] = {"type": "toolCall", "tool_call_id": call}
        return data

    def finished(self, namespace: Namespace, task: Mapping[str, Any]) -> Iterator[tuple[Namespace, Json]]:
        """The ends of the subgraphs that a task has invoked, from the task's result."""
        for child, invoker in list(self._open.items()):
            if child[:-1] == namespace and invoker == task.get("id"):
                if task.get("interrupts"):
                    yield self._end(child, "interrupted")
                elif error := task.get("error"):
                    message = error.get("message") if isinstance(error, Mapping) else error
                    yield self._end(child, "failed", str(message))
                else:
                    yield self._end(child, "completed")

    def close(self, status: str) -> Iterator[tuple[Namespace, Json]]:
        """The ends of the subgraphs that are open at the run's end, innermost first."""
        for namespace in sorted(self._open, key=len, reverse=True):
            yield self._end(namespace, status)

    def _end(self, namespace: Namespace, status: str, error: str | None = None) -> tuple[Namespace, Json]:
        del self._open[namespace]
        self.statuses[namespace] = status
        data: Json = {"event": status, "graph_name": self._names[namespace]}
        return namespace, data | ({"error": error} if error is not None else {})

    def tree(self, namespace: Namespace = ()) -> list[Json]:
        """The subgraphs below a namespace, as nodes of the tree for clients."""
        found = []
        for child, status in self.statuses.items():
            if child[:-1] == namespace:
                node: Json = {"namespace": list(child), "status": status, "graph_name": self._names[child]}
                if children := self.tree(child):
                    node["children"] = children
                found.append(node)
        return found


def _tool_call(given: Any) -> str | None:
    """The id of the tool call that a task executes, if it executes one."""
    calls = (
        [given.get("tool_call")] if isinstance(given, Mapping) else given if isinstance(given, list) else []
    )
    for call in calls:
        if isinstance(call, Mapping) and isinstance(call.get("id"), str):
            return str(call["id"])
    return None
