"""Graphs that lack a node in a later version of the code.

`CODE_VERSION` is the deployed version.
"""

from __future__ import annotations

import os
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from tests.support.graphs import Log, chain, node, trace

GRAPHS = {
    name: f"tests.support.code_versions:{name}" for name in ("renamed", "renamed_inside", "renamed_question")
}


def is_new() -> bool:
    return os.environ.get("CODE_VERSION") == "new"


def renamed() -> Any:
    """a → b → c; later b is called b2."""
    return chain("a", "b2" if is_new() else "b", "c").compile()


def renamed_inside() -> Any:
    """first → child (x → y) → last; later the child's y is called y2."""
    builder = StateGraph(Log)
    builder.add_node("first", node("first"))
    builder.add_node("child", chain("x", "y2" if is_new() else "y").compile())
    builder.add_node("last", node("last"))
    builder.add_edge(START, "first")
    builder.add_edge("first", "child")
    builder.add_edge("child", "last")
    return builder.compile()


def renamed_question() -> Any:
    """An interrupt whose node is renamed later."""
    name = "approve" if is_new() else "ask"

    async def ask(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, name)
        return {"log": [f"answer={interrupt('well?')}"]}

    builder = StateGraph(Log)
    builder.add_node("before", node("before"))
    builder.add_node(name, ask)
    builder.add_edge(START, "before")
    builder.add_edge("before", name)
    return builder.compile()
