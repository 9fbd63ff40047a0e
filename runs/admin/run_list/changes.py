"""The rows of the admin's list of runs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from runs.admin.run_list.columns import PARAMETER
from runs.admin.run_list.counts import Counts
from runs.admin.run_list.facets import Facet
from runs.lifecycle.operators.waiting import waiting
from runs.models import Run, RunStatus
from threads.admin.base import SparingChangeList


class RunChangeList(SparingChangeList):
    """Narrows by the filters with counts last, and tells the runs that wait for a person."""

    #: Counts of the choices of the filters.
    counts: Counts

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        return {name: values for name, values in found.items() if name != PARAMETER}

    @property
    def facets(self) -> list[Facet]:
        return [each for each in self.filter_specs if isinstance(each, Facet)]

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows = super().get_queryset(*args, **kwargs)
        self.counts = Counts(rows, self.facets)
        for facet in self.facets:
            rows = facet.narrow(rows)
        return rows

    def get_results(self, request: HttpRequest) -> None:
        found: Any = self.queryset
        found.counted = self.counts.total
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        self.result_list = rows
        tell_waiting(rows)
        for facet in self.facets:
            # The stock search form carries on the last value only; `hidden_values` has all.
            for name in facet.expected_parameters():
                self.params.pop(name, None)
            if facet.ignored:
                words = ", ".join(repr(each[:80]) for each in facet.ignored[:5])
                text = f"Not a value of the filter by {facet.title}, and left out: {words}."
                messages.warning(request, text)

    def hidden_values(self) -> list[tuple[str, str]]:
        """What the search form carries on: every value of these filters."""
        return [(facet.parameter_name, value) for facet in self.facets for value in facet.chosen]


class Conditions(RunChangeList):
    """The list's conditions, without its rows and counts."""

    def get_results(self, request: HttpRequest) -> None:
        self.result_list = []


def tell_waiting(rows: Collection[Any]) -> None:
    """Set `waits` of each run: whether it waits for a person. At most one query."""
    ended = [run.pk for run in rows if run.status == RunStatus.SUCCESS]
    waits = set(Run.objects.filter(waiting(), id__in=ended).values_list("id", flat=True)) if ended else ()
    for run in rows:
        run.waits = run.pk in waits
