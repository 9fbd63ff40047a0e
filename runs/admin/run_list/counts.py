"""How many runs each choice of the list's filters has, over a bounded number of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

from django.db.models import Count, QuerySet

from runs.models import Run
from threads.admin.base import COUNTED

#: Among how many of the newest runs that match the rest of the list's conditions the choices are counted: as
#: many as the list itself counts.
NEWEST = COUNTED


class Narrowing(Protocol):
    """A filter whose choices are counted."""

    #: What its choices are values of.
    field: str

    def narrow(self, rows: QuerySet[Run]) -> QuerySet[Run]: ...


class Counts:
    """Counts of a list's runs.

    Args:
        rows: The runs that match everything but the filters with counts.
        filters: Those filters; the counts of one respect the others.
    """

    def __init__(self, rows: QuerySet[Run], filters: Sequence[Narrowing]) -> None:
        self._rows = rows
        self._filters = filters

    @property
    def newest(self) -> str:
        """How many runs are counted at most."""
        return f"{NEWEST:,}"

    @cached_property
    def _oldest(self) -> Any:
        """The newest of the runs that are not counted; None if all are."""
        return self._rows.order_by("-id").values_list("id", flat=True)[NEWEST : NEWEST + 1].first()

    @property
    def bounded(self) -> bool:
        """Whether there are more runs than were counted."""
        return self._oldest is not None

    def rows(self, counted: Narrowing) -> QuerySet[Run]:
        """The runs among which the choices of a filter are counted, whatever is chosen in it."""
        rows = self._rows.order_by()
        if self._oldest is not None:
            rows = rows.filter(id__gt=self._oldest)
        for each in self._filters:
            if each is not counted:
                rows = each.narrow(rows)
        return rows

    def of(self, counted: Narrowing) -> Counter[Any]:
        """The number of runs by the value of the filter's field."""
        return Counter(
            dict(
                self.rows(counted)
                .values_list(counted.field)
                .annotate(runs=Count("id"))
                .values_list(counted.field, "runs")
            )
        )

    def shown(self, count: int) -> str:
        """A count in words: a plus says that there may be more."""
        return f"{count:,}+" if self.bounded else f"{count:,}"
