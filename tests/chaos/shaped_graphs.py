"""Other shapes than chains: breakpoints, asking or remembering subgraphs, blocking, large events."""

from __future__ import annotations

import asyncio
import hashlib
import operator
import time
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph

from tests.chaos.graphs import Inner, Work, blocking, chain, note, question, step
from tests.chaos.shapes import STEPS, bulk

#: Breakpoints of the graph itself.
stopping = chain({name: step(name) for name in STEPS}, interrupt_before=["s2"], interrupt_after=["s3"])

_twice = {
    "x": step("x", key="inner"), "ask1": question("ask1", key="inner"),
    "y": step("y", key="inner"), "ask2": question("ask2", key="inner"),
}  # fmt: skip
#: A subgraph as a node, with two interrupts.
asking = chain({"before": step("before"), "child": chain(_twice, Inner), "last": step("last")})


def _calling() -> Any:
    """The same subgraph, called by a node: an answer repeats the node, not the finished steps."""
    child = chain(_twice, Inner)

    async def call(state: Work) -> dict[str, Any]:
        done = await child.ainvoke({"tag": state["tag"], "delay": state["delay"]})
        return {"inner": done["inner"]}

    return chain({"before": step("before"), "call": call, "last": step("last")})


calling = _calling()


class Turn(TypedDict, total=False):
    tag: str
    delay: float
    log: Annotated[list[str], operator.add]
    #: What the agent said, turn by turn.
    told: Annotated[list[str], operator.add]


class Agent(TypedDict, total=False):
    """The persistent state of an agent."""

    tag: str
    delay: float
    memory: Annotated[list[str], operator.add]
    told: list[str]


def _remembering() -> Any:
    """An agent with persistent memory, between two steps.

    It returns what it remembers of all turns.
    """

    async def hear(state: Agent, config: RunnableConfig) -> dict[str, Any]:
        note(config, "hear")
        return {"memory": [state["tag"]]}

    async def wait(state: Agent, config: RunnableConfig) -> None:
        note(config, "wait")
        await asyncio.sleep(state["delay"])

    async def tell(state: Agent, config: RunnableConfig) -> dict[str, Any]:
        note(config, "tell")
        return {"told": [f"{state['tag']}:{','.join(state['memory'])}"]}

    agent = chain({"hear": hear, "wait": wait, "tell": tell}, Agent, checkpointer=True)
    return chain({"first": step("first"), "agent": agent, "last": step("last")}, Turn)


remembering = _remembering()


def computing(name: str) -> Any:
    """A step in a thread that computes without pause: half of it holds the interpreter lock."""

    def work(state: Work, config: RunnableConfig) -> dict[str, Any]:
        note(config, name)
        until = time.monotonic() + state["delay"] / 2
        while time.monotonic() < until:
            hashlib.sha256(bytes(100_000)).digest()
            sum(range(10_000))
        return {"log": [f"{state['tag']}/{name}"]}

    return work


def stalling(name: str) -> Any:
    """An asynchronous step that blocks the event loop, like code that was written without one."""

    async def work(state: Work, config: RunnableConfig) -> dict[str, Any]:
        note(config, name)
        time.sleep(state["delay"] / 4)  # noqa: ASYNC251 (what it is for)
        return {"log": [f"{state['tag']}/{name}"]}

    return work


def _heavy() -> Any:
    builder: Any = StateGraph(Work)
    nodes = {
        "a": blocking("a"), "b1": computing("b1"), "b2": stalling("b2"), "b3": blocking("b3"), "c": computing("c"),
    }  # fmt: skip
    for name, work in nodes.items():
        builder.add_node(name, work)
    builder.add_edge(START, "a")
    for name in ("b1", "b2", "b3"):
        builder.add_edge("a", name)
    builder.add_edge(["b1", "b2", "b3"], "c")
    return builder.compile()


heavy = _heavy()


class Large(TypedDict, total=False):
    tag: str
    delay: float
    log: Annotated[list[str], operator.add]
    size: int
    text: str


def swelling(name: str) -> Any:
    """A step that streams a large event, and returns a large value."""

    async def work(state: Large, config: RunnableConfig) -> dict[str, Any]:
        part = await step(name)(state, config)
        text = bulk(state["tag"], name, state["size"])
        get_stream_writer()({"step": name, "text": text})
        return {**part, "text": text}

    return work


large = chain({name: swelling(name) for name in ("l0", "l1", "l2")}, Large)
