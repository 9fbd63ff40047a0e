"""Which runs wait for a person, as a condition of a query."""

from __future__ import annotations

from django.db.models import OuterRef, Q, Subquery

from runs.models import Run, RunStatus
from threads.models import ThreadStatus


def waiting() -> Q:
    """Runs that wait for a person: the last one of its thread has asked; earlier ones were answered.

    A run that asks ends in `success`. `interrupted` is a run that was cancelled.
    """
    last = Run.objects.filter(thread=OuterRef("thread")).order_by("-created_at", "-id").values("id")[:1]
    # In this order: as a value, not a condition, the subquery would be executed for every row.
    asked = Q(status=RunStatus.SUCCESS, thread__status=ThreadStatus.INTERRUPTED)
    return asked & Q(id=Subquery(last))
