"""Waiting interrupts are those of the innermost task, whatever tasks above it show."""

from __future__ import annotations

from typing import Any

from threads.state.unanswered import Asked, waiting

FUNCTION = "~__pregel_pull, function"


def task(name: str, *ids: str, namespace: str = "", path: str = "", **fields: Any) -> Asked:
    return Asked(namespace, "c1", f"id-{name}", path or f"~__pregel_pull, {name}", ids, **fields)


def called(number: int, *ids: str, **fields: Any) -> Asked:
    path = f"~__pregel_push, {FUNCTION}, {number:010d}, 0000000001"
    return task(f"call{number}", *ids, path=path, **fields)


def shown(*asked: Asked, namespaces: tuple[str, ...] = ("",)) -> dict[str, tuple[str, ...]]:
    return {each.task_id: ids for each, ids in waiting(asked, namespaces).items()}


def test_a_task_shows_what_is_still_asked_in_its_subgraph() -> None:
    above, inside = task("sub", "a0", "b0"), "sub:id-sub"
    left, right = task("a", "a0", namespace=inside), task("b", "b1", namespace=inside)
    assert shown(above, left, right, namespaces=("", inside))["id-sub"] == ("a0",)


def test_a_task_whose_subgraph_has_gone_on_shows_what_that_asks_now() -> None:
    above, inside = task("sub", "a0"), "sub:id-sub"
    assert shown(above, task("a", "a1", namespace=inside), namespaces=("", inside))["id-sub"] == ("a1",)


def test_a_task_shows_its_own_interrupt_when_nothing_is_asked_below_it() -> None:
    above, inside = task("sub", "own"), "sub:id-sub"
    done = task("a", "a0", namespace=inside, finished=True)
    assert shown(above, done, namespaces=("", inside)) == {"id-sub": ("own",)}
    assert shown(task("sub", "a0"), done, namespaces=("", inside)) == {"id-sub": ()}


def test_a_subgraph_whose_own_task_is_over_asks_nothing() -> None:
    """With `exit` it leaves its rows as they were when it asked."""
    above, inner = task("sub", "a0"), "sub:id-sub|call:id-call"
    asking, namespaces = task("a", "a0", namespace=inner), ("", "sub:id-sub", inner)
    over = task("call", "a0", namespace="sub:id-sub", newest=False)
    assert shown(above, over, asking, namespaces=namespaces)["id-sub"] == ()
    pending = task("call", "a0", namespace="sub:id-sub")
    assert shown(above, pending, asking, namespaces=namespaces)["id-sub"] == ("a0",)


def test_a_function_shows_no_interrupt_whose_task_has_finished() -> None:
    function, other = task("function", "a0", path=FUNCTION), called(1, "b0")
    assert shown(function, called(0, "a0", finished=True)) == {"id-function": ()}
    assert shown(function, called(0, "a0", finished=True), other)["id-function"] == ("b0",)
    assert shown(function, called(0, "a0"), other)["id-function"] == ("a0",)
