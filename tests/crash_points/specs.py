"""Graphs and stories as plain data: drawn from a seed, printed as JSON, shrunk step by step.

Pure.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

#: The action of a node. `fan` sends its work to two tasks of another node; `parent` jumps in the parent
#: graph.
KINDS = ("work", "ask", "sub", "call", "fan", "goto", "flaky", "sync", "cached", "parent")

#: The prefix of the root's node names. LangGraph treats an all-digit part of a namespace as a counter.
ROOT = "n"


@dataclass(frozen=True)
class Node:
    kind: str
    #: The number of its interrupts, in sequence.
    asks: int = 0
    #: The subgraph of `sub` and `call`.
    graph: Graph | None = None
    #: Whether it waits for all others of the graph.
    deferred: bool = False
    #: Of `parent`: whether it names the target node in the parent graph.
    goto: bool = False


@dataclass(frozen=True)
class Graph:
    """Layers of parallel nodes; each layer waits for the whole previous one."""

    layers: tuple[tuple[Node, ...], ...]
    #: Layers with a compiled breakpoint before, or after them.
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    #: Of a subgraph: whether it has persistent memory (`checkpointer=True`).
    memory: bool = False

    @property
    def size(self) -> int:
        return sum(1 + (node.graph.size if node.graph else 0) for layer in self.layers for node in layer)


def named_nodes(graph: Graph, prefix: str = ROOT) -> Iterator[tuple[str, Node]]:
    """All nodes of a graph and its subgraphs, with their names."""
    for number, layer in enumerate(graph.layers):
        for place, node in enumerate(layer):
            name = f"{prefix}{number}{place}"
            yield name, node
            if node.graph is not None:
                yield from named_nodes(node.graph, f"{name}{node.kind[0]}")


@dataclass(frozen=True)
class Story:
    """A client's calls: the input, then answers and continuations until the graph ends."""

    #: How many interrupts an answering run answers: "one" or "all" of them by id, or "plain" where one waits.
    answers: str = "all"
    #: How often the story is repeated on the same thread.
    turns: int = 1
    #: Whether the first answer comes with an update.
    update: bool = False
    #: The `goto` of the first answer: "node" for a node, or "send" with an input.
    goto: str = ""
    #: How the state is edited at the first interrupt: "plain" before a plain answer, "none" before a run
    #: without an answer, "node" as the waiting node.
    edit: str = ""
    #: From which checkpoint a last run forks: the "start", that of the first interrupt with an "answer", or
    #: the one "inside" the subgraph that asked it.
    fork: str = ""
    #: Breakpoints of the first run, by layers of the root.
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Case:
    graph: Graph
    story: Story = field(default_factory=Story)
    #: Whether the graph is a function (`@entrypoint`) whose tasks are the layers' nodes.
    functional: bool = False

    def __str__(self) -> str:
        return json.dumps(_sparse(asdict(self)), separators=(",", ":"))


def _sparse(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sparse(each) for key, each in value.items() if each not in (None, (), 0, False, "")}
    return [_sparse(each) for each in value] if isinstance(value, list | tuple) else value


def parse(text: str) -> Case:
    """Parse a case from its printed JSON."""
    data = json.loads(text)
    return Case(_graph(data["graph"]), Story(**_tuples(data.get("story", {}))), data.get("functional", False))


def _graph(data: dict[str, Any]) -> Graph:
    layers = tuple(
        tuple(Node(**{**node, "graph": _graph(node["graph"]) if "graph" in node else None}) for node in layer)
        for layer in data.pop("layers")
    )
    return Graph(layers, **_tuples(data))


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(each) if isinstance(each, list) else each for key, each in data.items()}


# --- drawing


def draw(seed: int) -> Case:
    """The case of a seed."""
    rng = random.Random(seed)
    functional = rng.random() < 0.12
    graph = _draw_graph(rng, depth=0, functional=functional)
    return Case(graph, _draw_story(rng, graph, functional), functional)


def _draw_graph(rng: random.Random, *, depth: int, functional: bool) -> Graph:
    widths = (1, 1, 2) if depth else (1, 1, 2, 3)
    layers = [
        _one_jump(tuple(_draw_node(rng, depth, functional) for _ in range(rng.choice(widths))))
        for _ in range(rng.randint(1, 3 if depth == 0 else 2))
    ]
    some = (() if rng.random() < 0.8 or functional else (rng.randrange(len(layers)),) for _ in range(2))
    before, after = some
    return Graph(tuple(layers), before, after, memory=depth > 0 and rng.random() < 0.25)


def _one_jump(layer: tuple[Node, ...]) -> tuple[Node, ...]:
    """A layer in which at most one node jumps to the parent: of several, the first one to end does."""
    jumps = [place for place, node in enumerate(layer) if node.kind == "parent"]
    return tuple(Node("work") if place in jumps[1:] else node for place, node in enumerate(layer))


def _draw_node(rng: random.Random, depth: int, functional: bool) -> Node:
    if functional:
        return Node("ask", rng.randint(1, 2)) if rng.random() < 0.4 else Node("work")
    kinds = ["work", "work", "ask", "ask", "ask", "fan", "goto", "flaky", "sync", "cached"]
    if depth < 2:
        kinds += ["sub", "sub", "call", "call"]
    if depth:
        kinds.append("parent")
    kind = rng.choice(kinds)
    if kind in ("sub", "call"):
        return Node(kind, graph=_draw_graph(rng, depth=depth + 1, functional=False))
    asks = {"ask": rng.choice((1, 1, 2)), "fan": rng.choice((0, 1)), "sync": rng.choice((0, 1))}.get(kind, 0)
    deferred, goto = kind == "work" and rng.random() < 0.15, kind == "parent" and rng.random() < 0.5
    return Node(kind, asks, deferred=deferred, goto=goto)


def _draw_story(rng: random.Random, graph: Graph, functional: bool) -> Story:
    def one_of(share: float, *names: str) -> str:
        return rng.choice(names) if rng.random() < share and not functional else ""

    def layers() -> tuple[int, ...]:
        return (rng.randrange(len(graph.layers)),) if rng.random() < 0.15 and not functional else ()

    # Two parallel tasks would share the memory.
    memory = any(node.graph and node.graph.memory for _, node in named_nodes(graph))
    # Of several tasks that ask at once, a plain answer reaches the first one, and a synchronous node asks on a thread:
    # plain LangGraph gives it to either.
    races = any(node.kind == "sync" and node.asks for _, node in named_nodes(graph))
    answers = rng.choice(("all", "one", "plain"))
    return Story(
        answers=answers,
        turns=rng.choice((1, 1, 2)),
        update=not functional and rng.random() < 0.2,
        goto="" if memory or (races and answers == "plain") else one_of(0.15, "node", "send"),
        edit=one_of(0.2, "none" if races else "plain", "none", "node"),
        fork=one_of(0.2, "start", "answer", "inside"),
        before=layers(),
        after=layers(),
    )


# --- making smaller


def smaller(case: Case) -> Iterator[Case]:
    """Cases with one part removed or simplified."""
    plain = Story()
    for name in ("turns", "update", "goto", "edit", "fork", "before", "after", "answers"):
        if getattr(case.story, name) != getattr(plain, name):
            yield replace(case, story=replace(case.story, **{name: getattr(plain, name)}))
    for graph in _smaller_graphs(case.graph):
        yield replace(case, graph=graph)


def _smaller_graphs(graph: Graph) -> Iterator[Graph]:
    for name in ("before", "after", "memory"):
        if getattr(graph, name):
            yield replace(graph, **{name: type(getattr(graph, name))()})
    for number, layer in enumerate(graph.layers):
        head, tail = graph.layers[:number], graph.layers[number + 1 :]
        if head or tail:
            yield _within(replace(graph, layers=(*head, *tail)))
        for place, node in enumerate(layer):
            rest = (layer[:place], layer[place + 1 :])
            if len(layer) > 1:
                yield replace(graph, layers=(*head, (*rest[0], *rest[1]), *tail))
            for each in _smaller_nodes(node):
                yield replace(graph, layers=(*head, (*rest[0], each, *rest[1]), *tail))


def _within(graph: Graph) -> Graph:
    """The graph without breakpoints at removed layers."""
    count = len(graph.layers)
    return replace(
        graph,
        before=tuple(each for each in graph.before if each < count),
        after=tuple(each for each in graph.after if each < count),
    )


def _smaller_nodes(node: Node) -> Iterator[Node]:
    if node != Node("work"):
        yield Node("work")
    if node.goto:
        yield replace(node, goto=False)
    if node.asks > 1:
        yield replace(node, asks=node.asks - 1)
    if node.graph is not None:
        for graph in _smaller_graphs(node.graph):
            yield replace(node, graph=graph)
