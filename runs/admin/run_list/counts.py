"""How many runs each choice of the list's filters has, by one statement over a bounded number of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import compress
from typing import Any, Protocol

from django.db.models import BooleanField, Case, QuerySet, Value, When

from runs.lifecycle.operators.waiting import waiting
from runs.models import Run
from threads.admin.base import COUNTED

#: Among how many of the newest runs that match the rest of the list's conditions the choices are counted: as
#: many as the list itself counts.
NEWEST = COUNTED
#: What a choice is a value of, and whether a run waits for a person.
FIELDS = ("status", "queue", "assistant__graph_id", "assistant", "worker", "user", "waits")

#: By field, the values of the counted runs, the newest first.
Columns = dict[str, tuple[Any, ...]]


class Narrowing(Protocol):
    """A filter whose choices are counted."""

    #: One of `FIELDS`.
    field: str

    def accepted(self, columns: Columns) -> list[bool] | None:
        """Of each run whether the filter lets it through; None if nothing is chosen."""


class Counts:
    """Counts of a list's runs.

    Args:
        rows: The runs that match everything but the filters with counts.
        filters: Those filters; the counts of one respect the others.
    """

    def __init__(self, rows: QuerySet[Run], filters: Sequence[Narrowing]) -> None:
        self._found = rows
        self._filters = filters

    @property
    def newest(self) -> str:
        """How many runs are counted at most."""
        return f"{NEWEST:,}"

    @cached_property
    def _rows(self) -> list[tuple[Any, ...]]:
        waits = Case(When(waiting(), then=Value(True)), default=Value(False), output_field=BooleanField())
        return list(self._found.order_by("-id").annotate(waits=waits).values_list(*FIELDS)[: NEWEST + 1])

    @property
    def bounded(self) -> bool:
        """Whether there are more runs than were counted."""
        return len(self._rows) > NEWEST

    @cached_property
    def _columns(self) -> Columns:
        rows = self._rows[:NEWEST]
        return dict(zip(FIELDS, zip(*rows, strict=True) if rows else ((),) * len(FIELDS), strict=True))

    @property
    def total(self) -> int | None:
        """The number of runs that all filters let through; None if these are not all counted."""
        if not self.bounded:
            return self._by(self._filters, "waits").total()
        chosen = any(each.accepted(self._columns) is not None for each in self._filters)
        return None if chosen else len(self._rows)

    def of(self, counted: Narrowing, field: str) -> Counter[Any]:
        """The number of runs by the value of a field, whatever is chosen in the filter that is counted."""
        return self._by([each for each in self._filters if each is not counted], field)

    def _by(self, filters: Sequence[Narrowing], field: str) -> Counter[Any]:
        masks = [mask for each in filters if (mask := each.accepted(self._columns)) is not None]
        column = self._columns[field]
        return Counter(compress(column, map(all, zip(*masks, strict=True))) if masks else column)

    def shown(self, count: int) -> str:
        """A count in words: a plus says that there may be more."""
        return f"{count:,}+" if self.bounded else f"{count:,}"
