"""How many runs each choice of the list's filters has, by few statements and over a bounded number of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from django.db.models import Count, QuerySet

from runs.admin.run_search.statuses import waiting
from runs.models import Run
from threads.admin.base import COUNTED

#: Among how many of the newest runs that match the rest of the list's conditions the choices are counted.
NEWEST = 20_000
#: What a choice is a value of.
FIELDS = ("status", "queue", "assistant__graph_id", "assistant", "worker", "user")


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that have the same values of `FIELDS`."""

    values: dict[str, Any]
    #: Whether these are those of them that wait for a person; they are in another group too.
    waits: bool
    count: int


class Narrowing(Protocol):
    """A filter whose choices are counted."""

    field: str

    def accepts(self, group: Group) -> bool: ...


class Counts:
    """Counts of a list's runs.

    Args:
        rows: The runs that match everything but the filters with counts.
        filters: Those filters; the counts of one respect the others.
    """

    def __init__(self, rows: QuerySet[Run], filters: Sequence[Narrowing]) -> None:
        self._rows = rows.order_by()
        self._filters = filters

    @cached_property
    def _oldest(self) -> Any:
        """The oldest of the runs that are counted; None for all."""
        return self._rows.order_by("-id").values_list("id", flat=True)[NEWEST : NEWEST + 1].first()

    @property
    def newest(self) -> str:
        """How many runs are counted at most."""
        return f"{NEWEST:,}"

    @property
    def bounded(self) -> bool:
        """Whether there are more runs than were counted."""
        return self._oldest is not None

    @cached_property
    def _groups(self) -> list[Group]:
        rows = self._rows if self._oldest is None else self._rows.filter(id__gt=self._oldest)
        return [*_grouped(rows, waits=False), *_grouped(rows.filter(waiting()), waits=True)]

    def of(self, counted: Narrowing, value: Callable[[Group], Any]) -> Counter[Any]:
        """The number of runs by the value of their group, whatever is chosen in the filter itself."""
        others = [each for each in self._filters if each is not counted]
        found: Counter[Any] = Counter()
        for group in self._groups:
            if all(each.accepts(group) for each in others):
                found[value(group)] += group.count
        return found

    def shown(self, count: int) -> str:
        """A count in words: a plus says that there may be more."""
        if count > COUNTED:
            return f"{COUNTED:,}+"
        return f"{count:,}+" if self.bounded else f"{count:,}"


def _grouped(rows: QuerySet[Run], *, waits: bool) -> list[Group]:
    found = rows.values(*FIELDS).annotate(runs=Count("id")).values_list(*FIELDS, "runs")
    return [Group(dict(zip(FIELDS, values, strict=True)), waits, count) for *values, count in found]
