"""The graphs of the scripted runs. Every execution of a step is recorded with its attempt."""

from __future__ import annotations

import asyncio
import operator
import os
import time
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send, interrupt

from tests.support.chat_models import Talker


def note(config: RunnableConfig, name: str) -> None:
    """Record a step's start as "run attempt step", in one write, because processes share the file."""
    line = f"{config['configurable']['run_id']} {config['metadata']['run_attempt']} {name}\n"
    file = os.open(os.environ["TRACE_FILE"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Work(TypedDict, total=False):
    #: The name of the work, unique for each run.
    tag: str
    #: How long each step takes, in seconds.
    delay: float
    number: int
    log: Annotated[list[str], operator.add]
    inner: Annotated[list[str], operator.add]


class Inner(TypedDict, total=False):
    """The state of a subgraph, which returns only its own work."""

    tag: str
    delay: float
    inner: Annotated[list[str], operator.add]


def step(name: str, *, key: str = "log") -> Any:
    async def work(state: Work, config: RunnableConfig) -> dict[str, Any]:
        note(config, name)
        await asyncio.sleep(state["delay"])
        return {key: [f"{state['tag']}/{name}"]}

    return work


def blocking(name: str) -> Any:
    """A step that executes in a thread and cannot be cancelled."""

    def work(state: Work, config: RunnableConfig) -> dict[str, Any]:
        note(config, name)
        time.sleep(state["delay"])
        return {"log": [f"{state['tag']}/{name}"]}

    return work


def question(name: str, *, key: str = "log") -> Any:
    async def ask(state: Work, config: RunnableConfig) -> dict[str, Any]:
        note(config, name)
        return {key: [f"{state['tag']}/{name}={interrupt({'question': name, 'tag': state['tag']})}"]}

    return ask


def chain(nodes: dict[str, Any], state: type = Work, **options: Any) -> Any:
    builder: Any = StateGraph(state)
    for name, work in nodes.items():
        builder.add_node(name, work)
    for left, right in zip((START, *nodes), (*nodes, END), strict=True):
        builder.add_edge(left, right)
    return builder.compile(**options)


steps = chain({name: step(name) for name in ("s0", "s1", "s2", "s3", "s4")})
questions = chain(
    {"before": step("before"), "ask1": question("ask1"), "middle": step("middle"),
     "ask2": question("ask2"), "last": step("last")}
)  # fmt: skip


def _parallel() -> Any:
    builder = StateGraph(Work)
    for name in ("a", "b1", "b3", "c"):
        builder.add_node(name, step(name))
    builder.add_node("b2", blocking("b2"))
    builder.add_edge(START, "a")
    for name in ("b1", "b2", "b3"):
        builder.add_edge("a", name)
    builder.add_edge(["b1", "b2", "b3"], "c")
    return builder.compile()


parallel = _parallel()


def _nested() -> Any:
    """A subgraph, then a step for each of three pieces of work."""

    async def fan(state: Work, config: RunnableConfig) -> dict[str, Any]:
        note(config, name := f"fan{state['number']}")
        await asyncio.sleep(state["delay"])
        return {"log": [f"{state['tag']}/{name}"]}

    def pieces(state: Work) -> list[Send]:
        common = {"tag": state["tag"], "delay": state["delay"]}
        return [Send("fan", {**common, "number": number}) for number in range(3)]

    builder = StateGraph(Work)
    builder.add_node("first", step("first"))
    builder.add_node("child", chain({name: step(name, key="inner") for name in ("x", "y")}, Inner))
    builder.add_node("fan", fan)
    builder.add_node("last", step("last"))
    builder.add_edge(START, "first")
    builder.add_edge("first", "child")
    builder.add_conditional_edges("child", pieces, ["fan"])
    builder.add_edge("fan", "last")
    return builder.compile()


nested = _nested()


class Talk(MessagesState, total=False):
    tag: str
    delay: float
    tokens: int


def _talking() -> Any:
    async def think(state: Talk, config: RunnableConfig) -> dict[str, Any]:
        note(config, "think")
        await asyncio.sleep(state["delay"])
        return {}

    async def talk(state: Talk, config: RunnableConfig) -> dict[str, Any]:
        note(config, "talk")
        model = Talker(tokens=state["tokens"], delay=state["delay"] / 10)
        return {"messages": [await model.ainvoke(state["messages"])]}

    return chain({"think": think, "talk": talk}, Talk)


talking = _talking()


def _failing() -> Any:
    async def boom(state: Work, config: RunnableConfig) -> dict[str, Any]:
        note(config, "boom")
        raise ValueError(f"kaboom {state['tag']}")

    return chain({"before": step("before"), "boom": boom})


failing = _failing()
