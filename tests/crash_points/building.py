"""Builds graphs from specifications.

Their nodes record their executions, and each interrupt's answer.
"""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.cache.memory import InMemoryCache
from langgraph.config import get_config
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, interrupt

from tests.crash_points.specs import ROOT, Case, Graph, Node


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    topic: str


class Stage:
    """The context of a played graph: what was executed, and hooks in its nodes."""

    def __init__(self) -> None:
        self.executed: Counter[str] = Counter()
        #: Awaited in each asynchronous node, with its name.
        self.enter: Callable[[str], Awaitable[None]] = self._nothing
        self.failed: set[str] = set()
        self.graph: Any = None

    @staticmethod
    async def _nothing(name: str) -> None:
        await asyncio.sleep(0)


#: The case that is played now.
stage = Stage()


def current(config: RunnableConfig) -> Any:
    """The server's graph factory: returns the graph of the case that is played."""
    return stage.graph


def build(case: Case) -> Any:
    return _functional(case.graph) if case.functional else _compiled(case.graph, ROOT, root=True)


def names(graph: Graph, layers: tuple[int, ...], prefix: str = ROOT) -> list[str]:
    """The names of the nodes in some layers."""
    return [f"{prefix}{layer}{place}" for layer in layers for place in range(len(graph.layers[layer]))]


def _compiled(graph: Graph, prefix: str, *, root: bool = False, above: list[str] | None = None) -> Any:
    """Args:
    above: The successors, in the parent graph, of the node that is or calls this graph.
    """
    builder = StateGraph(State)
    sources: list[str] = [START]
    for number, layer in enumerate(graph.layers):
        following = names(graph, (number + 1,), prefix) if number + 1 < len(graph.layers) else []
        ends = []
        for place, node in enumerate(layer):
            name = f"{prefix}{number}{place}"
            jumps = node.kind == "goto" and len(layer) == 1 and following
            if jumps:
                builder.add_node(name, _jumping(name, following), destinations=tuple(following))
            else:
                _add(builder, name, node, following, above or [])
            if sources:
                builder.add_edge(sources if len(sources) > 1 else sources[0], name)
            if not jumps:
                ends.append(f"{name}w" if node.kind == "fan" else name)
        sources = ends
    for source in sources:
        builder.add_edge(source, END)
    return builder.compile(
        cache=InMemoryCache(),
        checkpointer=True if graph.memory and not root else None,
        interrupt_before=names(graph, graph.before, prefix) or None,
        interrupt_after=names(graph, graph.after, prefix) or None,
    )


def _add(builder: Any, name: str, node: Node, following: list[str], above: list[str]) -> None:
    options: dict[str, Any] = {"defer": node.deferred}
    if node.kind == "flaky":
        options["retry_policy"] = RetryPolicy(initial_interval=0.001, max_attempts=3, jitter=False)
    if node.kind == "cached":
        # By value: the default key depends on which strings are the same object (docs/reference/upstream.md).
        options["cache_policy"] = CachePolicy(key_func=repr)
    builder.add_node(name, _action(name, node, following, above), **options)
    if node.kind == "fan":
        worker = f"{name}w"
        builder.add_node(worker, _asking(worker, node.asks))
        builder.add_conditional_edges(
            name, lambda state: [Send(worker, {"log": [], "topic": str(each)}) for each in range(2)], [worker]
        )


def _jumping(name: str, following: list[str]) -> Any:
    async def jump(state: State) -> Command[Any]:
        await _entered(name)
        return Command(update={"log": [name]}, goto=following)

    return jump


async def _entered(name: str) -> None:
    stage.executed[name] += 1
    await stage.enter(name)


def _ask(name: str, asks: int, topic: str = "") -> str:
    got = [str(interrupt(f"{name}{topic}?{number}")) for number in range(asks)]
    return "".join(f"[{each}]" for each in got)


def _asking(name: str, asks: int) -> Any:
    async def ask(state: State) -> dict[str, Any]:
        await _entered(name)
        topic = f".{state.get('topic')}" if name.endswith("w") else ""
        return {"log": [f"{name}{topic}{_ask(name, asks, topic)}"]}

    return ask


def _action(name: str, node: Node, following: list[str], above: list[str]) -> Any:
    match node.kind:
        case "sub":
            assert node.graph is not None
            return _compiled(node.graph, f"{name}s", above=following)
        case "call":
            assert node.graph is not None
            subgraph = _compiled(node.graph, f"{name}c", above=following)

            async def call(state: State) -> dict[str, Any]:
                await _entered(name)
                out = await subgraph.ainvoke({"log": [f"in {len(state['log'])}"]})
                return {"log": [f"{name}({','.join(out.get('log', ()))})"]}

            return call
        case "flaky":

            async def flaky(state: State) -> dict[str, Any]:
                place = get_config()["configurable"]["checkpoint_ns"]
                await _entered(name)
                if place not in stage.failed:
                    stage.failed.add(place)
                    raise ConnectionError("This one fails once.")
                return {"log": [name]}

            return flaky
        case "sync":

            def sync(state: State) -> dict[str, Any]:
                stage.executed[name] += 1
                return {"log": [f"{name}{_ask(name, node.asks)}"]}

            return sync
        case "parent":

            async def parent(state: State) -> Any:
                await _entered(name)
                return Command(
                    graph=Command.PARENT,
                    update={"log": [f"{name} to the parent"]},
                    goto=above[:1] if node.goto else (),
                )

            return parent
    return _asking(name, node.asks)


def _functional(graph: Graph) -> Any:
    tasks: dict[str, Any] = {}
    for number, layer in enumerate(graph.layers):
        for place, node in enumerate(layer):
            tasks[f"{ROOT}{number}{place}"] = _task(f"{ROOT}{number}{place}", node)

    @entrypoint()
    async def function(given: dict[str, Any]) -> dict[str, Any]:
        log = list(given.get("log", ()))
        for number, layer in enumerate(graph.layers):
            log += await asyncio.gather(*(tasks[f"{ROOT}{number}{place}"]() for place in range(len(layer))))
        return {"log": log}

    return function


def _task(name: str, node: Node) -> Any:
    @task(name=f"t{name}")
    async def work() -> str:
        await _entered(name)
        return f"{name}{_ask(name, node.asks)}"

    return work


__all__ = ["build", "current", "names", "stage"]
