"""What the runs of the last day did, from the newest of them: for the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple
from uuid import UUID

from runs.lifecycle.operators.costs import ModelUse, Usage, by_model
from runs.models import Attempt, Run, RunStatus
from threads.db import clock
from threads.db.ids import first_id, made_at

#: The most runs that are read: twenty thousand take a tenth of a second.
MOST = 20_000
HOURS = 24
FAILED = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})


class Row(NamedTuple):
    """The columns of a run that are summed up. Its id says when it was created: a column with a time takes longer
    to read than all others.
    """

    id: UUID
    status: str
    input_tokens: int
    output_tokens: int
    usage: Usage | None = None


class Ended(NamedTuple):
    """A run that ended within the last hour."""

    status: str
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime


@dataclass(slots=True)
class Hour:
    """The runs that were created within an hour."""

    begins: datetime
    runs: int = 0
    failed: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    #: The hours, the oldest first; the last one ends now.
    hours: list[Hour]
    #: Of runs that ended within the last hour.
    ended: int
    failed: int
    #: Seconds, as (median, 95th percentile); None without runs.
    wait: tuple[float, float] | None
    duration: tuple[float, float] | None
    #: Whether there were more runs than were read.
    more: bool = False
    #: Attempts of the last day whose process was lost, and how many of their runs succeeded since.
    lost: int = field(default=0)
    recovered: int = field(default=0)
    #: What the read runs used, by model.
    models: list[ModelUse] = field(default_factory=list)
    #: The failed runs, the newest first.
    failures: list[UUID] = field(default_factory=list)


def of_last_day() -> Activity:
    now = clock.now()
    first = first_id(now - timedelta(hours=HOURS))
    newest = Run.objects.filter(id__gte=first).order_by("-id")
    read = [Row(*row) for row in newest.values_list(*Row._fields)[: MOST + 1]]
    lately = newest.filter(finished_at__gte=now - timedelta(hours=1)).values_list(*Ended._fields)[:MOST]
    lost = Attempt.objects.filter(run_id__gte=first, reason="lost")
    succeeded = lost.filter(run__status=RunStatus.SUCCESS).values("run_id").distinct()
    found = summed_up(read[:MOST], [Ended(*row) for row in lately], now)
    return replace(found, more=len(read) > MOST, lost=lost.count(), recovered=succeeded.count())


def summed_up(rows: Sequence[Row], ended: Sequence[Ended], now: datetime) -> Activity:
    """Sum rows up, the newest first. Pure."""
    hours = [Hour(now - timedelta(hours=number)) for number in range(HOURS, 0, -1)]
    for row in rows:
        place = HOURS - 1 - int((now - made_at(row.id)).total_seconds() // 3600)
        if 0 <= place < HOURS:
            hour = hours[place]
            hour.runs += 1
            hour.failed += row.status in FAILED
            hour.tokens += row.input_tokens + row.output_tokens
    begun = [row for row in ended if row.started_at is not None]
    return Activity(
        hours,
        len(ended),
        sum(row.status in FAILED for row in ended),
        _spread(begun, lambda row: row.due_at, lambda row: row.started_at),
        _spread(begun, lambda row: row.started_at, lambda row: row.finished_at),
        models=by_model(row.usage for row in rows),
        failures=[row.id for row in rows if row.status in FAILED],
    )


def _spread(
    rows: Sequence[Ended],
    begin: Callable[[Ended], datetime | None],
    end: Callable[[Ended], datetime | None],
) -> tuple[float, float] | None:
    taken = sorted(
        max(0.0, (ends - begins).total_seconds())
        for row in rows
        if (begins := begin(row)) is not None and (ends := end(row)) is not None
    )
    return (_quantile(taken, 0.5), _quantile(taken, 0.95)) if taken else None


def _quantile(values: Sequence[float], share: float) -> float:
    """By nearest rank."""
    return values[max(0, ceil(share * len(values)) - 1)]
