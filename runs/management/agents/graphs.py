"""`agents graphs`: list the registered graphs, and draw them."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from runs import graphs
from runs.graphs.runtimes import introspection_runtime
from runs.management.agents.parsing import Noun
from runs.management.agents.printing.output import Column, Output

COLUMNS = (
    Column("graph", "name"),
    Column("loads", "loads", state=True),
    Column("queue", "queue"),
    Column("priority", "priority", right=True),
    Column("source", "source", breaks=True),
    Column("description", "description", breaks=True),
)


def add(nouns: Any) -> None:
    noun = Noun(nouns, "graphs", "Look at the registered graphs.")
    parser = noun.verb("list", list_graphs, "List the graphs, and import each.")
    parser.set_defaults(needs_database=False)
    parser = noun.verb("draw", draw, "Draw a graph.", as_json=False)
    parser.set_defaults(needs_database=False)
    parser.add_argument("graph", help="The graph's name.")
    parser.add_argument(
        "--format", choices=("text", "mermaid", "json"), default="text", help="Default: %(default)s."
    )
    parser.add_argument("--subgraphs", action="store_true", help="Also draw the insides of subgraphs.")


def list_graphs(given: Namespace, out: Output) -> int:
    failures = graphs.load_all()
    rows = []
    for name in graphs.names():
        found = graphs.registration(name)
        rows.append(
            {
                "name": name,
                "loads": name not in failures,
                "queue": found.queue,
                "priority": found.priority,
                "source": found.source,
                "description": found.description,
                "error": str(failures[name]) if name in failures else None,
            }
        )
    out.table("graphs", COLUMNS, rows, empty="No graph is registered: name one in RUNS['GRAPHS'].")
    for error in failures.values():
        out.say(str(error))
    return 1 if failures else 0


def draw(given: Namespace, out: Output) -> None:
    drawing = asyncio.run(_drawing(given.graph, xray=given.subgraphs))
    if given.format == "mermaid":
        out.line(drawing.draw_mermaid().rstrip())
    elif given.format == "json":
        shown = drawing.to_json()
        out.object(graph=given.graph, nodes=shown["nodes"], edges=shown["edges"])
    else:
        for line in outline(
            list(drawing.nodes), [(e.source, e.target, e.conditional, e.data) for e in drawing.edges]
        ):
            out.line(line)


async def _drawing(name: str, *, xray: bool) -> Any:
    async with graphs.open_graph(name, {}, runtime=introspection_runtime(None)) as graph:
        return await graph.aget_graph(xray=xray)


def outline(nodes: Iterable[str], edges: Iterable[tuple[str, str, bool, Any]]) -> Iterable[str]:
    """A graph as text: each node with what may follow it. Pure."""
    known = list(edges)
    for node in nodes:
        after = [each for each in known if each[0] == node]
        yield node
        for number, (_, target, conditional, data) in enumerate(after, start=1):
            branch = "└" if number == len(after) else "├"
            arrow = "┄▶" if conditional else "─▶"
            yield f"  {branch}{arrow} {target}{f'  ({data})' if data else ''}"
