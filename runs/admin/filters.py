"""The filters of the admin's lists of runs, workers and assistants."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from runs.models import Assistant
from threads.admin.base import ChoiceFilter, CreatedFilter, LinkedFilter
from threads.db import clock
from threads.db.ids import first_id

#: Maximum choices of a filter.
OFFERED = 30


class ErrorFilter(ChoiceFilter):
    title = "error"
    parameter_name = "has_error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("yes", "With an error"), ("no", "Without an error")]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(error__isnull=value == "no")


class GraphFilter(ChoiceFilter):
    title = "graph"
    parameter_name = "graph"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        names = Assistant.objects.filter(user=None).order_by("graph_id").values_list("graph_id", "graph_id")
        return names.distinct()[:OFFERED]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(graph_id=value)


class RunCreatedFilter(CreatedFilter):
    """By the run's id, which begins with the time of its creation and has an index."""

    def since(self, moment: datetime) -> Q:
        return Q(id__gte=first_id(moment))


class ThreadFilter(LinkedFilter):
    title = "thread"
    parameter_name = "thread"


class WorkerStateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(state, state.capitalize()) for state in ("running", "draining", "stopped", "killed")]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """As `Worker.state` says it."""
        present, now = Q(stopped_at=None), clock.now()
        killed = Q(killed_at__isnull=False) | (present & Q(lease_expires_at__lte=now))
        draining = Q(draining=True) | Q(drain_requested_at__isnull=False)
        if value == "killed":
            return queryset.filter(killed)
        if value == "stopped":
            return queryset.filter(stopped_at__isnull=False, killed_at=None)
        alive = queryset.filter(present).exclude(killed)
        return alive.filter(draining) if value == "draining" else alive.exclude(draining)


class DeletedFilter(ChoiceFilter):
    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("no", "Not deleted"), ("yes", "Deleted, but named by runs")]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(deleted_at__isnull=value == "no")
