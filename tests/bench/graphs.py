"""The measured graphs: they do almost nothing, so that the cost of running them remains."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

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


class Nap(TypedDict, total=False):
    seconds: float


async def nap(state: Nap) -> dict[str, Any]:
    await asyncio.sleep(state["seconds"])
    return {"seconds": 0.0}


asleep = StateGraph(Nap).add_node("nap", nap).add_edge(START, "nap").compile()

NAMES = ("one", "ten", "tokens", "asleep")
