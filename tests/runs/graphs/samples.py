"""A small graph as the text of a module, and helpers for the registry's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.test import override_settings
from langgraph.pregel import Pregel

from runs import graphs

Write = Callable[[str, str], Path]

GRAPH = """
    from typing import TypedDict
    from langgraph.graph import START, StateGraph

    class State(TypedDict, total=False):
        value: str

    def build(label="plain"):
        builder = StateGraph(State)
        builder.add_node("node", lambda state: {"value": label})
        builder.add_edge(START, "node")
        return builder

    graph = build().compile()
"""


def with_graphs(**values: Any) -> Any:
    return override_settings(RUNS={"GRAPHS": values})


def with_json(write: Write, content: Any, *, name: str = "langgraph.json") -> Any:
    return override_settings(RUNS={"LANGGRAPH_JSON": str(write(name, json.dumps(content)))})


async def opened(
    name: str, config: dict[str, Any] | None = None, runtime: Any = None
) -> Pregel[Any, Any, Any, Any]:
    async with graphs.open_graph(name, config or {}, runtime=runtime) as graph:
        return graph


async def label_of(name: str, config: dict[str, Any] | None = None, runtime: Any = None) -> str:
    """The answer of the graph's only node, which identifies the graph."""
    async with graphs.open_graph(name, config or {}, runtime=runtime) as graph:
        return (await graph.ainvoke({}))["value"]


def ids() -> list[str | None]:
    return sorted(str(problem.id) for problem in graphs.problems())
