"""Small graphs that record every execution in a file, so that tests can count executions."""

from __future__ import annotations

import asyncio
import operator
import os
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send, interrupt


def trace(config: RunnableConfig, name: str) -> None:
    """Record the start of a node: a line "run_id name" in the file that the environment names."""
    if path := os.environ.get("TRACE_FILE"):
        with Path(path).open("a") as file:
            file.write(f"{config['configurable']['run_id']} {name}\n")


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    count: int
    delay: float


def node(name: str, *, delay: float | None = None) -> Any:
    async def step(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, name)
        await asyncio.sleep(state.get("delay", 0.0) if delay is None else delay)
        return {"log": [name]}

    return step


def chain(*names: str) -> StateGraph:
    builder = StateGraph(Log)
    for name in names:
        builder.add_node(name, node(name))
    for left, right in zip((START, *names), (*names, END), strict=True):
        builder.add_edge(left, right)
    return builder


#: Ten steps in sequence; input `delay` is the duration of each.
steps = chain(*(f"s{number}" for number in range(10))).compile()


def _parallel() -> Any:
    builder = StateGraph(Log)
    for name in ("a", "b1", "b2", "c"):
        builder.add_node(name, node(name))
    builder.add_edge(START, "a")
    builder.add_edge("a", "b1")
    builder.add_edge("a", "b2")
    builder.add_edge(["b1", "b2"], "c")
    return builder.compile()


parallel = _parallel()


def _questions() -> Any:
    """Two interrupts in one node, one in a subgraph, with parallel work before them."""

    async def both(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "both")
        first = interrupt({"question": "first"})
        second = interrupt({"question": "second"})
        return {"log": [f"first={first}", f"second={second}"]}

    async def inner(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "inner")
        return {"log": [f"third={interrupt({'question': 'third'})}"]}

    sub = StateGraph(Log)
    sub.add_node("before", node("before"))
    sub.add_node("inner", inner)
    sub.add_edge(START, "before")
    sub.add_edge("before", "inner")
    compiled = sub.compile()

    async def call(state: Log, config: RunnableConfig) -> dict[str, Any]:
        result = await compiled.ainvoke({"log": []}, config)
        return {"log": result["log"]}

    builder = StateGraph(Log)
    builder.add_node("p1", node("p1"))
    builder.add_node("p2", node("p2"))
    builder.add_node("both", both)
    builder.add_node("call", call)
    builder.add_node("last", node("last"))
    builder.add_edge(START, "p1")
    builder.add_edge(START, "p2")
    builder.add_edge(["p1", "p2"], "both")
    builder.add_edge("both", "call")
    builder.add_edge("call", "last")
    return builder.compile()


questions = _questions()


def _failing() -> Any:
    async def boom(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "boom")
        raise ValueError("kaboom")

    builder = StateGraph(Log)
    builder.add_node("before", node("before"))
    builder.add_node("boom", boom)
    builder.add_edge(START, "before")
    builder.add_edge("before", "boom")
    return builder.compile()


failing = _failing()


def _stubborn() -> Any:
    """A node that suppresses its cancellation and continues for `delay` seconds."""

    async def stay(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "stay")
        end = time.monotonic() + state.get("delay", 1.0)
        while time.monotonic() < end:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        return {"log": ["stay"]}

    builder = StateGraph(Log)
    builder.add_node("stay", stay)
    builder.add_node("after", node("after"))
    builder.add_edge(START, "stay")
    builder.add_edge("stay", "after")
    return builder.compile()


stubborn = _stubborn()


class Talk(MessagesState, total=False):
    tokens: int
    delay: float


def _talking() -> Any:
    from tests.support.chat_models import Talker

    async def talk(state: Talk, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "talk")
        model = Talker(tokens=state.get("tokens", 5), delay=state.get("delay", 0.0))
        get_stream_writer()({"progress": 1})
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(Talk)
    builder.add_node("talk", talk)
    builder.add_edge(START, "talk")
    return builder.compile()


talking = _talking()


def _thrice() -> Any:
    """Three nodes, t1 to t3, each with a call of a model."""
    from tests.support.chat_models import Talker

    def speaker(name: str) -> Any:
        async def talk(state: Talk, config: RunnableConfig) -> dict[str, Any]:
            trace(config, name)
            model = Talker(tokens=state.get("tokens", 5), delay=state.get("delay", 0.0))
            return {"messages": [await model.ainvoke(state["messages"])]}

        return talk

    builder = StateGraph(Talk)
    names = ("t1", "t2", "t3")
    for name in names:
        builder.add_node(name, speaker(name))
    for left, right in zip((START, *names), (*names, END), strict=True):
        builder.add_edge(left, right)
    return builder.compile()


thrice = _thrice()


def _nested() -> Any:
    child = chain("x", "y").compile()
    builder = StateGraph(Log)
    builder.add_node("first", node("first"))
    builder.add_node("child", child)
    builder.add_node("fan", node("fan"))
    builder.add_edge(START, "first")
    builder.add_edge("first", "child")
    builder.add_conditional_edges(
        "child", lambda state: [Send("fan", {"log": []}), Send("fan", {"log": []})], ["fan"]
    )
    return builder.compile()


nested = _nested()


def _asking() -> Any:
    """An interrupt beside a node that takes `delay` seconds."""

    async def ask(state: Log, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "ask")
        return {"log": [f"answer={interrupt({'question': 'now'})}"]}

    builder = StateGraph(Log)
    builder.add_node("ask", ask)
    builder.add_node("slow", node("slow"))
    builder.add_edge(START, "ask")
    builder.add_edge(START, "slow")
    return builder.compile()


asking = _asking()


def _siblings() -> Any:
    """A node that takes no time beside one that takes a second, and one after both."""
    builder = StateGraph(Log)
    for name, delay in (("quick", 0.0), ("slow", 1.0), ("last", 0.0)):
        builder.add_node(name, node(name, delay=delay))
    builder.add_edge(START, "quick")
    builder.add_edge(START, "slow")
    builder.add_edge(["quick", "slow"], "last")
    return builder.compile()


siblings = _siblings()

#: One node that sleeps for `delay` seconds.
sleeping = chain("sleep").compile()
