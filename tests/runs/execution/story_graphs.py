"""The graphs of `test_stories`: common shapes other than a plain chain of nodes."""

from __future__ import annotations

import operator
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from tests.support.graphs import Log, chain, node, trace


class State(Log, total=False):
    topic: str
    said: str


class Heard(State, total=False):
    heard: Annotated[list[str], operator.add]


def _asks(*questions: str) -> Any:
    async def ask(state: State, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "ask")
        return {"log": [",".join(interrupt(each) for each in questions)]}

    return ask


def _sequence(schema: Any = State, **nodes: Any) -> StateGraph:
    builder = StateGraph(schema)
    for name, action in nodes.items():
        builder.add_node(name, action)
    for left, right in zip((START, *nodes), (*nodes, END), strict=True):
        builder.add_edge(left, right)
    return builder


plain = chain("a", "b", "c").compile()
asks = _sequence(ask=_asks("ok?"), last=node("last")).compile()
asks_twice = _sequence(pre=node("pre"), ask=_asks("first?", "second?"), last=node("last")).compile()
_inner = _sequence(before=node("before"), ask=_asks("first?", "second?"))
subgraph_asks_twice = _sequence(pre=node("pre"), sub=_inner.compile(), last=node("last")).compile()


def _sends() -> Any:
    async def worker(state: Any, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "worker")
        return {"log": [f"worker {state['n']}"]}

    builder = StateGraph(State)
    for name, action in {"a": node("a"), "worker": worker, "last": node("last")}.items():
        builder.add_node(name, action)
    builder.add_edge(START, "a")
    builder.add_edge("worker", "last")
    return builder.compile()


sends = _sends()


def _router() -> Any:
    async def route(state: State) -> str:
        return "b"

    builder = StateGraph(State)
    builder.add_node("a", node("a"))
    builder.add_node("b", node("b"))
    builder.add_edge(START, "a")
    builder.add_conditional_edges("a", route, ["b", END])
    return builder.compile()


router = _router()


def _memory() -> Any:
    """A subgraph with persistent memory, called by a node."""

    async def hear(state: Heard, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "hear")
        return {"heard": [state["said"]]}

    agent = _sequence(Heard, hear=hear).compile(checkpointer=True)

    async def call(state: State, config: RunnableConfig) -> dict[str, Any]:
        trace(config, "call")
        found = await agent.ainvoke({"said": state["said"]}, config)
        return {"log": [f"heard {' and '.join(found['heard'])}"]}

    return _sequence(pre=node("pre"), call=call).compile()


memory = _memory()


@task
async def double(number: int) -> int:
    trace(get_config(), f"double{number}")
    return number * 2


@task
async def review(number: int) -> Any:
    trace(get_config(), "review")
    return interrupt(number)


@entrypoint()
async def functional(given: dict[str, int]) -> dict[str, Any]:
    total = await double(given["x"]) + await double(2)
    return {"answer": await review(total), "total": total + await double(3)}


_stop = _sequence(s1=node("s1"), ask=_asks("sub?"), s2=node("s2"))
travel = _sequence(p1=node("p1"), sub=_stop.compile(), p2=node("p2")).compile()

_middle = _sequence(m1=node("m1"), sub=_stop.compile(), m2=node("m2"))
travel_deep = _sequence(p1=node("p1"), sub=_middle.compile(), p2=node("p2")).compile()
