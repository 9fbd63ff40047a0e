"""Graphs that wait for the test, and one that kills its process."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from tests.support.graphs import Log, node, trace


async def gate(state: Log, config: RunnableConfig) -> dict[str, Any]:
    """Wait until the file that `GATE_FILE` names exists."""
    trace(config, "gate")
    while not Path(os.environ["GATE_FILE"]).exists():
        await asyncio.sleep(0.005)
    return {"log": ["gate"]}


def _gated(*names: str) -> Any:
    builder = StateGraph(Log)
    for name in names:
        builder.add_node(name, gate if name == "gate" else node(name))
    for left, right in zip((START, *names), (*names, END), strict=True):
        builder.add_edge(left, right)
    return builder.compile()


gated = _gated("before", "gate", "after", "last")
#: Its last node is the one that waits.
gated_end = _gated("before", "gate")


def _asking() -> Any:
    """An interrupt, then work for `delay` seconds."""

    async def ask(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "ask")
        return {"log": [f"answer={interrupt('well?')}"]}

    builder = StateGraph(Log)
    builder.add_node("ask", ask)
    builder.add_node("work", node("work"))
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "work")
    return builder.compile()


asking = _asking()


def _poison() -> Any:
    async def kill(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "kill")
        await asyncio.sleep(0.2)  # so that the events so far reach the log
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    builder = StateGraph(Log)
    builder.add_node("before", node("before"))
    builder.add_node("kill", kill)
    builder.add_edge(START, "before")
    builder.add_edge("before", "kill")
    return builder.compile()


poison = _poison()
