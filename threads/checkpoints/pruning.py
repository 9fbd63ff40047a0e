"""Deleting checkpoints that nobody needs any more: of threads that go, and of the past of threads that stay.

Synchronous, and within a transaction of Django's that the caller has begun. On PostgreSQL the rows go with it. On SQLite
they are in a file of their own and go before it commits; its write lock keeps every new run out meanwhile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

#: (namespace, checkpoint id): a checkpoint within its thread.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Head:
    """The latest checkpoint of one namespace of a thread."""

    ns: str
    id: str
    #: The root graph's checkpoint that a subgraph was called from; None in the root namespace.
    root: str | None
    #: Delta channels whose values are not in this checkpoint: they are rebuilt from the writes of its ancestors.
    deltas: frozenset[str]


#: Which of some channels have a value in a checkpoint.
Stored = Callable[[Place, frozenset[str]], frozenset[str]]


class Pruning(ABC):
    """Deleting from LangGraph's checkpoint tables, in pieces whose size the caller bounds."""

    @abstractmethod
    def delete(self, thread_ids: Collection[UUID], *, limit: int) -> int:
        """Delete up to `limit` rows of threads that nobody can write to any more; return how many, 0 at the end."""

    @abstractmethod
    def keep_latest(self, thread_id: UUID, *, limit: int) -> int:
        """Delete up to `limit` checkpoints, with their writes, or values that the thread's present state does not need.

        The caller has locked the thread, and no run of it is in flight. Between two calls runs may go on from what is
        left. Returns how many were deleted, 0 when only what is needed is left.
        """


def needed(heads: Iterable[Head], parents: Mapping[Place, str | None], stored: Stored) -> set[Place]:
    """The checkpoints that a thread's present state consists of.

    The latest one of each namespace, and those that its delta channels are rebuilt from. A finished call of a subgraph
    is not needed: its namespace ends in a task's id (that of a subgraph with a state of its own does not), and a task
    belongs to one checkpoint of the root graph, which is saved and not needed itself.

    Args:
        parents: All checkpoints of the thread, each one with its parent's id.
    """
    kept: set[Place] = set()
    # The root namespace, "", comes first.
    for head in sorted(heads, key=lambda each: each.ns):
        root = ("", head.root or "")
        if ":" in head.ns and root in parents and root not in kept:
            continue
        place, waiting = (head.ns, head.id), head.deltas
        while place in parents and place not in kept:
            kept.add(place)
            place = (head.ns, parents[place] or "")
            if not waiting:
                break
            if place in parents:
                waiting -= stored(place, waiting)
    return kept


def cut(kept: Collection[Place], parents: Mapping[Place, str | None]) -> list[Place]:
    """Where a chain of parents leaves what is kept."""
    return [(ns, name) for ns, name in kept if (parent := parents[ns, name]) and (ns, parent) not in kept]


def superfluous(parents: Mapping[Place, str | None], kept: Collection[Place]) -> list[Place]:
    """What is not needed, in the order in which it can go in pieces.

    The root namespace goes last: that a call is finished shows by its root checkpoint, which is there and not needed.
    """
    return sorted((place for place in parents if place not in kept), reverse=True)
