"""Deleting checkpoints: all of a deleted thread, or the history of a thread that is kept.

Synchronous, within the caller's Django transaction. On PostgreSQL the rows are deleted in that
transaction. On SQLite they are in a separate file and are deleted before it commits; the write lock
of the main database keeps new runs from starting meanwhile.
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
    #: The root graph's checkpoint that called the subgraph; None in the root namespace.
    root: str | None
    #: Delta channels without a value in this checkpoint; they are rebuilt from the writes of its ancestors.
    deltas: frozenset[str]


#: Which of the given channels have a value in a checkpoint.
Stored = Callable[[Place, frozenset[str]], frozenset[str]]


class Pruning(ABC):
    """Deletes from LangGraph's checkpoint tables, in batches whose size the caller limits."""

    @abstractmethod
    def delete(self, thread_ids: Collection[UUID], *, limit: int) -> int:
        """Delete up to `limit` rows of threads that are closed to writers.

        Return how many, 0 at the end.
        """

    @abstractmethod
    def count(self, thread_ids: Collection[UUID], *, limit: int) -> int:
        """How many checkpoints threads have; `limit` if there are at least so many."""

    @abstractmethod
    def keep_latest(self, thread_id: UUID, *, limit: int) -> int:
        """Delete up to `limit` checkpoints or values that the current state does not need.

        The caller has locked the thread, and no run of it is in flight. Runs may continue the
        thread between two calls. Returns how many were deleted; 0 when only needed ones are left.
        """


def needed(heads: Iterable[Head], parents: Mapping[Place, str | None], stored: Stored) -> set[Place]:
    """The checkpoints that make up a thread's current state.

    These are the latest of each namespace, and those from which its delta channels are rebuilt. A
    finished call of a subgraph is not needed. Its namespace ends in a task's id, unless the
    subgraph has a persistent state of its own. The task belongs to one checkpoint of the root
    graph, which is stored and itself not needed.

    Args:
        parents: All checkpoints of the thread, with the ids of their parents.
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
    """The kept checkpoints whose parents are not kept."""
    return [(ns, name) for ns, name in kept if (parent := parents[ns, name]) and (ns, parent) not in kept]


def superfluous(parents: Mapping[Place, str | None], kept: Collection[Place]) -> list[Place]:
    """The checkpoints to delete, in an order that allows deletion in batches.

    The root namespace is last: a call counts as finished only if its root checkpoint is stored and
    not needed.
    """
    return sorted((place for place in parents if place not in kept), reverse=True)
