"""Circles of imports. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of names that reach each other, each sorted, by Tarjan's algorithm."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in order:
            visit(name)
    return sorted(found)


def of_folders(graph: Mapping[str, Iterable[str]], folders: Mapping[str, str]) -> dict[str, set[str]]:
    """Return which folder imports which. A module at the root of an application is its own node.

    A folder and its subfolders are one node, so imports between them do not count.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for name, others in graph.items():
        for other in others:
            source, target = _place(name, folders), _place(other, folders)
            if not f"{source}.".startswith(f"{target}.") and not f"{target}.".startswith(f"{source}."):
                found[source].add(target)
    return found


def _place(name: str, folders: Mapping[str, str]) -> str:
    folder = folders[name]
    return folder if "." in folder else name
