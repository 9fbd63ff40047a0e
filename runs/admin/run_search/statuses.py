"""Runs by the statuses that people ask for, which are more than a run's row has."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q

from runs.admin.run_search.terms import ACTIVE, CANCELLED, WAITING
from runs.lifecycle.operators.waiting import waiting
from runs.models import RunStatus
from runs.models.querysets import IN_FLIGHT


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
