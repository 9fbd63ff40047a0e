"""Small graphs that go wrong on request."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.messages import HumanMessage
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt

from tests.support.chat_models import Talker


class Order(TypedDict, total=False):
    order: str
    approved: bool
    done: Annotated[list[str], operator.add]


def gate_is_open() -> bool:
    return Path(os.environ["GATE_FILE"]).exists()


async def load(state: Order) -> Order:
    return {"done": ["load"]}


async def parse(state: Order) -> Order:
    """Kill the process that parses a certain order, as a crash in native code does."""
    if state["order"] == "poison":
        await asyncio.sleep(0.2)  # so that the events so far reach the log
        os.kill(os.getpid(), signal.SIGKILL)
    return {"done": ["parse"]}


async def fetch(state: Order) -> Order:
    """Wait for an answer that never comes, of a certain order."""
    if state["order"] == "hung":
        await asyncio.Event().wait()
    return {"done": ["fetch"]}


async def price(state: Order) -> Order:
    """Wait until the gate is open."""
    while not gate_is_open():
        await asyncio.sleep(0.01)
    return {"done": ["price"]}


async def answer(state: Order) -> Order:
    """Ask a model, which is slow until the gate is open."""
    model = Talker(name="slow-model", tokens=3, delay=0.0 if gate_is_open() else 60.0)
    found = await model.ainvoke([HumanMessage(state["order"])])
    return {"done": [str(found.content)]}


async def ask(state: Order) -> Order:
    return {"approved": interrupt(f"Refund {state['order']}?") == "yes"}


async def refund(state: Order) -> Order:
    return {"done": ["refunded" if state["approved"] else "refused"]}


async def report(state: Order) -> Order:
    return {"done": ["report"]}


def chain(*nodes: Any) -> Any:
    builder = StateGraph(Order)
    before = START
    for each in nodes:
        builder.add_node(each.__name__, each)
        builder.add_edge(before, each.__name__)
        before = each.__name__
    return builder.compile()


orders = chain(load, parse, report)
lookups = chain(load, fetch, report)
quotes = chain(load, price, report)
#: The same after a deploy that lost a node.
quotes_without_price = chain(load, report)
answers = chain(load, answer)
refunds = chain(load, ask, refund)
