"""The columns of the list of runs, which each person chooses."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.http import HttpRequest

from runs.models import ListColumns

#: The parameter of the list's address; it takes precedence over what the person keeps.
PARAMETER = "columns"
#: What there is, in the list's order: the names of methods of the list, as people read them.
COLUMNS = {
    "state": "status",
    "short": "run",
    "thread_link": "thread",
    "assistant_link": "assistant",
    "graph": "graph",
    "username": "user",
    "queue": "queue",
    "priority": "priority",
    "created": "created",
    "started": "started",
    "finished": "finished",
    "wait": "queue wait",
    "took": "duration",
    "attempt": "attempt",
    "tokens": "tokens in / out",
    "executed_by": "worker",
    "cancel": "cancel requested",
    "error_excerpt": "error",
}
DEFAULT = (
    "state", "short", "thread_link", "assistant_link", "username", "created", "wait", "took", "attempt", "tokens",
    "executed_by", "error_excerpt",
)  # fmt: skip
#: It leads to the run's page.
ALWAYS = "short"


def known(names: Collection[str]) -> tuple[str, ...]:
    """Those of the names that are columns, in the list's order; all by default if there are none."""
    found = tuple(name for name in COLUMNS if name in names)
    return tuple(name for name in COLUMNS if name in found or name == ALWAYS) if found else DEFAULT


def columns(request: HttpRequest) -> tuple[str, ...]:
    """The columns that a request's list shows: its own ones, or those that the person keeps."""
    if given := request.GET.get(PARAMETER):
        return known(given.split(","))
    held: Any = request
    if not hasattr(held, "kept_columns"):  # the admin asks several times
        kept = ListColumns.objects.filter(user=held.user.pk).values_list("names", flat=True).first()
        held.kept_columns = known(kept or ())
    return tuple(held.kept_columns)


def keep(user: Any, names: Collection[str]) -> None:
    """Let a person's list have these columns from now on; those by default if there are none."""
    chosen = known(names)
    if chosen == DEFAULT:
        ListColumns.objects.filter(user=user.pk).delete()
    else:
        ListColumns.objects.update_or_create(user_id=user.pk, defaults={"names": list(chosen)})
