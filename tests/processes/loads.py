"""Graphs that burden their process: blocking, large or deep values, many events."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

from tests.support.graphs import Log, node, trace


class Load(Log, total=False):
    #: Bytes of the text that is returned, or of each event.
    size: int
    #: Events, or levels of nesting.
    many: int
    text: str
    nested: Any


class Told(TypedDict):
    number: int
    text: str


async def block(state: Load, config: RunnableConfig) -> dict[str, Any]:
    """Block the event loop for `BLOCK_SECONDS`, a setting of the process."""
    trace(config, "block")
    time.sleep(float(os.environ.get("BLOCK_SECONDS", "0")))  # noqa: ASYNC251 - that is the fault
    return {"log": ["block"]}


async def grow(state: Load, config: RunnableConfig) -> dict[str, Any]:
    trace(config, "grow")
    return {"log": ["grow"], "text": "x" * state["size"]}


async def nest(state: Load, config: RunnableConfig) -> dict[str, Any]:
    trace(config, "nest")
    nested: Any = "bottom"
    for _ in range(state["many"]):
        nested = [nested]
    return {"log": ["nest"], "nested": nested}


async def tell(state: Load, config: RunnableConfig) -> dict[str, Any]:
    """Emit `many` events of `size` bytes, and yield to other tasks between them."""
    trace(config, "tell")
    write = get_stream_writer()
    text = "x" * state.get("size", 1)
    for number in range(state["many"]):
        write(Told(number=number, text=text))
        await asyncio.sleep(0)
    return {"log": ["tell"]}


def _between(name: str, work: Any, *, delay: float | None = None) -> Any:
    """A graph with this node between two others, which take `delay` seconds."""
    builder = StateGraph(Load)
    around = (("before", node("before", delay=delay)), ("after", node("after", delay=delay)))
    for each, action in ((name, work), *around):
        builder.add_node(each, action)
    builder.add_edge(START, "before")
    builder.add_edge("before", name)
    builder.add_edge(name, "after")
    builder.add_edge("after", END)
    return builder.compile()


def work(state: Load, config: RunnableConfig) -> dict[str, Any]:
    """Work in a thread for `delay` seconds, regardless of cancellation."""
    trace(config, "work")
    time.sleep(state["delay"])
    trace(config, "late")
    return {"log": ["work"]}


blocking = _between("block", block)
bulky = _between("grow", grow)
deep = _between("nest", nest)
flood = _between("tell", tell)
synchronous = _between("work", work, delay=0.0)
