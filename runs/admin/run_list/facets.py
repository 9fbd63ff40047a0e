"""Filters of the list of runs that take several values, with the number of runs beside each choice.

The list itself narrows its rows by them (`RunChangeList`), so that the counts of one filter can
leave it out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest

from runs.admin.run_list.counts import Columns
from runs.admin.run_search.statuses import condition, of_rows
from runs.admin.run_search.terms import ACTIVE, ALIASES, CANCELLED, STATUSES, WAITING
from runs.models import Assistant, Run, Worker
from threads.admin.base import as_uuid

#: The most choices that a filter offers, beside those that are chosen; and the most that can be chosen.
OFFERED, CHOSEN = 10, 100


class Facet(admin.ListFilter):
    """A filter by one field: `?queue=a&queue=b`, or `?queue__in=a,b`. No value means all runs."""

    template = "admin/runs/run/facet.html"
    parameter_name: str
    #: One of `counts.FIELDS`.
    field: str

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        given = list(params.pop(self.parameter_name, []))
        for text in params.pop(f"{self.parameter_name}__in", []):
            given += text.split(",")
        meant = {text: self.meant(text) for text in given[:CHOSEN] if text}
        #: The values as the address has them.
        self.chosen: list[str] = list(dict.fromkeys(each for values in meant.values() for each in values))
        #: What was given and cannot be a value.
        self.ignored = [text for text, values in meant.items() if not values]

    def expected_parameters(self) -> list[Any]:
        return [self.parameter_name, f"{self.parameter_name}__in"]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset

    def meant(self, text: str) -> list[str]:
        """The values that a text of the address stands for; none if it cannot be one."""
        return [] if "\x00" in text else [text]

    @cached_property
    def values(self) -> Collection[Any]:
        """The values of the field that are chosen."""
        return frozenset(self.chosen)

    def narrow(self, rows: QuerySet[Run]) -> QuerySet[Run]:
        return rows.filter(**{f"{self.field}__in": self.values}) if self.chosen else rows

    def accepted(self, columns: Columns) -> list[bool] | None:
        values = self.values
        return [each in values for each in columns[self.field]] if self.chosen else None

    def named(self, values: Collection[Any]) -> dict[Any, tuple[str, str]]:
        """By value of the field: as the address has it, and as people read it."""
        return {value: (value, value) for value in values}

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        counted = changelist.counts.of(self, self.field)
        counted.pop(None, None)  # runs without a worker
        common = [value for value, _ in counted.most_common(OFFERED)]
        named = self.named([*common, *(each for each in self.values if each not in common)])
        yield self._every(changelist)
        for value, (text, label) in sorted(named.items(), key=lambda each: each[1][1].lower()):
            yield self._choice(changelist, text, label, counted[value])

    def _every(self, changelist: Any) -> dict[str, Any]:
        without = changelist.get_query_string(remove=[self.parameter_name])
        return {"selected": not self.chosen, "query_string": without, "display": "All"}

    def _choice(self, changelist: Any, text: str, label: str, count: int) -> dict[str, Any]:
        selected = text in self.chosen
        rest = [each for each in self.chosen if each != text] if selected else [*self.chosen, text]
        changed = {self.parameter_name: rest} if rest else {}
        return {
            "selected": selected,
            "query_string": changelist.get_query_string(changed, remove=[self.parameter_name]),
            "display": label,
            "count": changelist.counts.shown(count),
        }


class StatusFacet(Facet):
    title = "status"
    parameter_name = "status"
    field = "status"
    words = {
        "pending": "Pending",
        "running": "Running",
        WAITING: "Waits for a person",
        "success": "Success",
        "error": "Error",
        "timeout": "Timeout",
        CANCELLED: "Cancelled",
    }

    def meant(self, text: str) -> list[str]:
        word = ALIASES.get(text, text)
        if word in (ACTIVE, "in_flight"):
            return ["pending", "running"]
        return [word] if word in STATUSES else []

    @cached_property
    def values(self) -> Collection[Any]:
        return of_rows(self.chosen)

    def narrow(self, rows: QuerySet[Run]) -> QuerySet[Run]:
        return rows.filter(condition(self.chosen)) if self.chosen else rows

    def accepted(self, columns: Columns) -> list[bool] | None:
        found = super().accepted(columns)
        if found is None or WAITING not in self.chosen:
            return found
        return [each or waits for each, waits in zip(found, columns["waits"], strict=True)]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        counted = changelist.counts.of(self, self.field)
        counted[WAITING] = changelist.counts.of(self, "waits")[True]
        yield self._every(changelist)
        for word, label in self.words.items():
            row = word if word == WAITING else next(iter(of_rows([word])))
            yield self._choice(changelist, word, label, counted[row])


class GraphFacet(Facet):
    title = "graph"
    parameter_name = "graph"
    field = "assistant__graph_id"


class QueueFacet(Facet):
    title = "queue"
    parameter_name = "queue"
    field = "queue"


class RowFacet(Facet):
    """A filter by a row that has a UUID."""

    rows: Any

    def meant(self, text: str) -> list[str]:
        found = as_uuid(text)
        return [str(found)] if found else []

    @cached_property
    def values(self) -> Collection[Any]:
        return frozenset(UUID(each) for each in self.chosen)

    def named(self, values: Collection[Any]) -> dict[Any, tuple[str, str]]:
        found = self.rows.in_bulk(values)
        return {value: (str(value), self.label(found.get(value), value)) for value in values}

    def label(self, row: Any, value: UUID) -> str:
        return value.hex[-8:] if row is None else str(row)


class AssistantFacet(RowFacet):
    title = "assistant"
    parameter_name = "assistant"
    field = "assistant"
    rows = Assistant.objects.only("name")

    def label(self, row: Any, value: UUID) -> str:
        return row.name if row is not None and row.name else super().label(None, value)


class WorkerFacet(RowFacet):
    title = "worker"
    parameter_name = "worker"
    field = "worker"
    rows = Worker.objects.all()


class UserFacet(Facet):
    """By username, which people can read in an address."""

    title = "user"
    parameter_name = "user"
    field = "user"

    @cached_property
    def _found(self) -> dict[Any, str]:
        """The chosen users' names by their keys."""
        if not self.chosen:
            return {}
        users: Any = get_user_model()._default_manager
        name = users.model.USERNAME_FIELD
        return dict(users.filter(**{f"{name}__in": self.chosen}).values_list("pk", name))

    @cached_property
    def values(self) -> Collection[Any]:
        return frozenset(self._found)

    def named(self, values: Collection[Any]) -> dict[Any, tuple[str, str]]:
        users: Any = get_user_model()._default_manager
        others = [each for each in values if each not in self._found]
        found = users.filter(pk__in=others).values_list("pk", users.model.USERNAME_FIELD) if others else ()
        return {pk: (name, name) for pk, name in {**self._found, **dict(found)}.items()}
