"""Which runs wait for a person, as a condition of a query."""

from __future__ import annotations

from django.db.models import OuterRef, Q, Subquery

from runs.models import Run, RunStatus
from threads.models import ThreadStatus


def waiting() -> Q:
    """Runs that wait for a person: the last one of its thread that began has asked; earlier ones were answered.

    A run that asks ends in `success`. `interrupted` is a run that was cancelled.
    """
    # One that ended before it began asked nothing. Not by the epoch, as in `asking`: no index has that order, and a
    # thread may have thousands of runs.
    begun = Run.objects.filter(thread=OuterRef("thread"), attempt__gt=0)
    last = begun.order_by("-created_at", "-id").values("id")[:1]
    # In this order: as a value, not a condition, the subquery would be executed for every row.
    asked = Q(status=RunStatus.SUCCESS, thread__status=ThreadStatus.INTERRUPTED)
    return asked & Q(id=Subquery(last))
