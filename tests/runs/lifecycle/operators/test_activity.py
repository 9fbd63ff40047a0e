"""What the runs of a day are summed up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runs.lifecycle.operators import activity
from runs.lifecycle.operators.activity import Row, of_last_day, summed_up
from runs.models import Attempt
from tests.support.rows import make_run

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def row(minutes: float, *, wait: float = 1.0, took: float | None = 2.0, status: str = "success") -> Row:
    created = NOW - timedelta(minutes=minutes)
    started = created + timedelta(seconds=wait)
    finished = None if took is None else started + timedelta(seconds=took)
    return Row(status, created, created, started, finished, 3, 4)


def test_hours_failures_and_tokens() -> None:
    found = summed_up([row(10), row(50, status="error"), row(70), row(60 * 23.5), row(60 * 25)], NOW)
    assert [(hour.runs, hour.failed, hour.tokens) for hour in found.hours[-2:]] == [(1, 0, 7), (2, 1, 14)]
    assert (found.hours[0].runs, sum(hour.runs for hour in found.hours)) == (1, 4)
    assert found.hours[-1].begins == NOW - timedelta(hours=1)
    assert (found.ended, found.failed) == (2, 1)


def test_the_spread_of_waits_and_durations_is_by_nearest_rank() -> None:
    found = summed_up([row(10, wait=number, took=2 * number) for number in range(1, 101)], NOW)
    assert found.wait == (50.0, 95.0)
    assert found.duration == (100.0, 190.0)


def test_a_day_without_runs_has_no_spread() -> None:
    found = summed_up([row(10, took=None, status="running")], NOW)
    assert (found.ended, found.wait, found.duration) == (0, None, None)


@pytest.mark.django_db
def test_lost_attempts_and_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "MOST", 2)
    runs: list[Any] = [make_run(status) for status in ("success", "error", "success")]
    for run in runs[:2]:
        Attempt.objects.filter(run=run).delete()
        Attempt.objects.create(
            run=run, number=1, epoch=1, began_at=run.created_at, ended_at=run.created_at, reason="lost"
        )
    found = of_last_day()
    assert (found.more, sum(hour.runs for hour in found.hours)) == (True, 2)
    assert (found.lost, found.recovered) == (2, 1)
