"""Which run asked what waits for an answer on a thread."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runs.models import Run
from runs.models.querysets import RunQuerySet
from threads.models import Thread


def executed_last(thread: Any) -> RunQuerySet:
    """The runs of a thread that were executed, the last one first: the questions that wait are its own.

    A run that was created later and ended before it began asked nothing. A delayed run is created early and
    executed late. So the epoch decides, which grows with each attempt on a thread.

    Args:
        thread: A thread, or an expression for its id within a larger query.
    """
    return Run.objects.filter(thread=thread, attempt__gt=0).order_by("-epoch")


def asking_run(thread: Thread | None) -> UUID | None:
    """The id of the run that asked what waits on a thread; None if nothing waits, or the run is gone."""
    if thread is None or not any(thread.interrupts.values()):
        return None
    return executed_last(thread.id).values_list("id", flat=True).first()
