"""What models used and cost on each of the last days, from the newest runs that used any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from django.utils import timezone

from runs.lifecycle.operators.costs import ModelUse, Usage, by_model
from runs.models import Run
from threads.db import clock
from threads.db.ids import first_id, made_at

DAYS = 30
#: The most runs that are read: fifteen thousand take a fifth of a second.
MOST = 15_000


@dataclass(frozen=True, slots=True)
class Day:
    day: date
    #: The dearest model first.
    models: list[ModelUse]
    #: The sum of the models with a price; None without any.
    cost: float | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Spending:
    #: The newest day first; days without tokens are left out.
    days: list[Day]
    #: Since when runs were read, if there were more than are read at most.
    since: datetime | None


def of_last_days() -> Spending:
    """The days are those of the site's time zone, and of the runs' creation."""
    first = first_id(clock.now() - timedelta(days=DAYS))
    rows = Run.objects.filter(id__gte=first, usage__isnull=False).order_by("-id")
    found = [(made_at(run_id), usage) for run_id, usage in rows.values_list("id", "usage")[: MOST + 1]]
    read = found[:MOST]
    return Spending(list(by_day(read)), read[-1][0] if len(found) > MOST else None)


def by_day(rows: Iterable[tuple[datetime, Usage | None]]) -> Iterator[Day]:
    """Sum rows up that are in the order of their times, the newest first."""
    for day, of_day in groupby(rows, lambda row: timezone.localtime(row[0]).date()):
        models = by_model(usage for _, usage in of_day)
        costs = [use.cost for use in models if use.cost is not None]
        tokens = sum(use.input + use.output for use in models)
        yield Day(day, models, sum(costs) if costs else None, tokens)
