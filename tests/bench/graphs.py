"""The measured graphs: they do almost nothing, so that the cost of running them remains."""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langgraph.graph import END, START, MessagesState, StateGraph

from tests.support.chat_models import Talker


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def chain(length: int) -> Any:
    """`length` steps, one after the other, each of which adds its name."""

    def step(name: str) -> Any:
        async def run(state: Log) -> dict[str, Any]:
            return {"log": [name]}

        return run

    names = [f"s{number}" for number in range(length)]
    builder = StateGraph(Log)
    for name in names:
        builder.add_node(name, step(name))
    for left, right in zip((START, *names), (*names, END), strict=True):
        builder.add_edge(left, right)
    return builder.compile()


one = chain(1)
ten = chain(10)


class Talk(MessagesState, total=False):
    tokens: int
    pause: float


async def talk(state: Talk) -> dict[str, Any]:
    """Say `tokens` words as fast as possible, after `pause` seconds."""
    await asyncio.sleep(state.get("pause", 0.0))
    return {"messages": [await Talker(tokens=state["tokens"]).ainvoke(state["messages"])]}


tokens = StateGraph(Talk).add_node("talk", talk).add_edge(START, "talk").compile()


class Stamper(Talker):
    """Says when it says each word, by the machine's monotonic clock in nanoseconds."""

    async def _astream(self, *arguments: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in super()._astream(*arguments, **options):
            yield ChatGenerationChunk(message=AIMessageChunk(f"@{time.monotonic_ns()} ", id=chunk.message.id))


async def stamp(state: Talk) -> dict[str, Any]:
    """Say `tokens` words, with `pause` seconds before each."""
    model = Stamper(tokens=state["tokens"], delay=state["pause"])
    return {"messages": [await model.ainvoke(state["messages"])]}


stamped = StateGraph(Talk).add_node("stamp", stamp).add_edge(START, "stamp").compile()


class Nap(TypedDict, total=False):
    seconds: float


async def nap(state: Nap) -> dict[str, Any]:
    await asyncio.sleep(state["seconds"])
    return {"seconds": 0.0}


asleep = StateGraph(Nap).add_node("nap", nap).add_edge(START, "nap").compile()

NAMES = ("one", "ten", "tokens", "stamped", "asleep")
