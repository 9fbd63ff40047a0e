"""What a person may mean who begins to type a condition. Each look is bounded; payloads are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from runs import graphs
from runs.admin.run_search.matching import LONG, oldest_of_newest
from runs.admin.run_search.terms import ACTIVE, CANCELLED, QUALIFIERS, STATUSES, WAITING
from runs.models import Assistant, Run, Worker

#: The most suggestions, and how many failed runs are looked at for their errors and nodes.
MOST, FAILED = 10, 200
#: The longest word that is completed.
LONGEST = 200
EXPLAINED = {
    WAITING: "waits for a person",
    CANCELLED: "cancelled, or stopped by a shutdown",
    ACTIVE: "pending or running",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    #: The whole word: a qualifier with a value, or a qualifier alone.
    value: str
    #: What it means, if the word does not say it.
    label: str = ""


def suggested(word: str) -> list[Suggestion]:
    """Completions of the last word of a search."""
    name, colon, given = word[:LONGEST].partition(":")
    if not colon:
        return [
            Suggestion("meta." if each == "meta" else f"{each}:", f"such as {example}")
            for each, example in QUALIFIERS.items()
            if each.startswith(name.lower())
        ]
    # Of `user:ada,b` the last name is completed.
    before, comma, begun = given.lstrip('"').rpartition(",")
    begun = begun.lower()
    offered = VALUES.get(name, lambda: ())()
    fitting = (each for each in offered if any(part.lower().startswith(begun) for part in each if part))
    return [
        Suggestion(f"{name}:{_quoted(before + comma + value)}", label)
        for value, label in islice(fitting, MOST)
        if '"' not in value
    ]


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def _newest() -> QuerySet[Run]:
    oldest = oldest_of_newest(LONG)
    return Run.objects.all() if oldest is None else Run.objects.filter(id__gte=oldest)


def _statuses() -> Iterator[tuple[str, str]]:
    return ((each, EXPLAINED.get(each, "")) for each in STATUSES)


def _users() -> list[tuple[str, str]]:
    """Users of the newest runs; the list shows these names too."""
    users: Any = get_user_model()._default_manager
    name = users.model.USERNAME_FIELD
    found = users.filter(pk__in=_newest().order_by().values("user").distinct())
    return [(each, "") for each in found.order_by(name).values_list(name, flat=True)[:LONG]]


def _graphs() -> list[tuple[str, str]]:
    found = Assistant.objects.filter(user=None).order_by("graph_id").values_list("graph_id", flat=True)
    return [(each, "") for each in found.distinct()[:LONG]]


def _assistants() -> list[tuple[str, str]]:
    found = Assistant.objects.filter(user=None).order_by("name").values_list("id", "name")
    return [(str(pk), name) for pk, name in found[:LONG]]


def _workers() -> list[tuple[str, str]]:
    running = Worker.objects.filter(stopped_at=None).order_by("-id")[:FAILED]
    return [(str(each.id), str(each)) for each in running]


def _queues() -> list[tuple[str, str]]:
    used = _newest().order_by().values_list("queue", flat=True).distinct()[:FAILED]
    served = {graphs.registration(name).queue for name in graphs.names()}
    return [(each, "") for each in sorted(served | set(used))]


def _of_failures(column: str, part: str) -> Callable[[], Iterable[tuple[str, str]]]:
    """A part of what the newest failed runs keep, the commonest first."""

    def values() -> Iterator[tuple[str, str]]:
        rows = _newest().filter(**{f"{column}__isnull": False}).order_by("-id")
        kept = [
            row.get(part) for row in rows.values_list(column, flat=True)[:FAILED] if isinstance(row, dict)
        ]
        found = [each for each in kept if isinstance(each, str) and each]
        return ((each, "") for each in sorted(dict.fromkeys(found), key=found.count, reverse=True))

    return values


#: By qualifier, its values with what they mean. The others' values are typed: ids, texts, metadata.
VALUES: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
    "status": _statuses,
    "user": _users,
    "graph": _graphs,
    "assistant": _assistants,
    "worker": _workers,
    "queue": _queues,
    "node": _of_failures("failure", "node"),
    "error": _of_failures("error", "error"),
}
