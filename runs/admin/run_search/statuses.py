"""Runs by the statuses that people ask for, which are more than a run's row has."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import OuterRef, Q, Subquery

from runs.admin.run_search.terms import ACTIVE, CANCELLED, WAITING
from runs.models import Run, RunStatus
from runs.models.querysets import IN_FLIGHT
from threads.models import ThreadStatus


def waiting() -> Q:
    """Runs that wait for a person: the last one of its thread has asked; earlier ones were answered.

    A run that asks ends in `success`. `interrupted` is a run that was cancelled.
    """
    last = Run.objects.filter(thread=OuterRef("thread")).order_by("-created_at", "-id").values("id")[:1]
    # In this order: as a value, not a condition, the subquery would be executed for every row.
    asked = Q(status=RunStatus.SUCCESS, thread__status=ThreadStatus.INTERRUPTED)
    return asked & Q(id=Subquery(last))


def of_rows(words: Collection[str]) -> frozenset[str]:
    """The statuses of rows that the words stand for; `waiting` stands for none."""
    found: set[str] = set()
    for word in words:
        if word == ACTIVE:
            found.update(IN_FLIGHT)
        elif word != WAITING:
            found.add(RunStatus.INTERRUPTED if word == CANCELLED else word)
    return frozenset(found)


def condition(words: Collection[str]) -> Q:
    """The runs that have one of these statuses."""
    wanted = Q(status__in=of_rows(words))
    return wanted | waiting() if WAITING in words else wanted
