"""Which checkpoints a thread's current state needs: pure logic."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from threads.checkpoints.pruning import Head, Place, cut, needed, superfluous

NONE: frozenset[str] = frozenset()


def chain(ns: str, count: int) -> dict[Place, str | None]:
    return {(ns, str(number)): str(number - 1) if number else None for number in range(count)}


def head(ns: str, name: str, *, root: str | None = None, deltas: str = "") -> Head:
    return Head(ns, name, root, frozenset(deltas))


def stored_at(values: Mapping[str, str]) -> object:
    """Which channels, one letter each, have a value in which checkpoint."""
    return lambda place, channels: channels & frozenset(values.get(place[1], ""))


def kept(
    parents: dict[Place, str | None], *heads: Head, values: Mapping[str, str] | None = None
) -> set[Place]:
    return needed(heads, parents, stored_at(values or {}))  # type: ignore[arg-type]


def test_the_latest_checkpoint_of_each_namespace_is_needed_and_the_chain_ends_there() -> None:
    parents = chain("", 4) | chain("own", 3)
    found = kept(parents, head("", "3"), head("own", "2", root="1"))
    assert found == {("", "3"), ("own", "2")}
    assert sorted(cut(found, parents)) == [("", "3"), ("own", "2")]


@pytest.mark.parametrize(
    ("values", "first"),
    [({"3": "ab"}, 3), ({"3": "a", "1": "b"}, 1), ({"0": "ab"}, 0), ({}, 0), ({"5": "ab"}, 0)],
)
def test_channels_are_rebuilt_from_the_nearest_checkpoint_that_has_their_value(
    values: dict[str, str], first: int
) -> None:
    parents = chain("", 6)
    found = kept(parents, head("", "5", deltas="ab"), values=values)
    assert found == {("", str(number)) for number in range(first, 6)}
    assert cut(found, parents) == ([("", str(first))] if first else [])


def test_a_chain_that_ends_in_nothing_or_in_a_circle_is_followed_to_its_end() -> None:
    assert kept({("", "5"): "4"}, head("", "5", deltas="a")) == {("", "5")}
    circle = {("", "5"): "4", ("", "4"): "5"}
    assert kept(circle, head("", "5", deltas="a")) == set(circle)


def test_a_call_goes_with_its_root_checkpoint_also_when_its_removal_is_broken_off() -> None:
    parents = chain("", 3) | chain("call:1", 2) | chain("call:2|inner:3", 2)
    heads = [head("", "2"), head("call:1", "1", root="1"), head("call:2|inner:3", "1", root="2")]
    found = kept(parents, *heads)
    assert found == {("", "2"), ("call:2|inner:3", "1")}
    order = superfluous(parents, found)
    assert set(order) == parents.keys() - found
    for count in range(len(order)):
        left = {place: parent for place, parent in parents.items() if place not in order[:count]}
        latest = {ns: max(name for other, name in left if other == ns) for ns, _ in left}
        again = kept(
            left, *(head(each.ns, latest[each.ns], root=each.root) for each in heads if each.ns in latest)
        )
        assert again == found


def test_a_call_whose_root_checkpoint_was_never_saved_is_left_alone() -> None:
    parents = chain("", 3) | chain("call:1", 1)
    assert ("call:1", "0") in kept(parents, head("", "2"), head("call:1", "0", root="9"))
