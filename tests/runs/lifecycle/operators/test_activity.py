"""What the runs of a day are summed up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runs.lifecycle.operators import activity
from runs.lifecycle.operators.activity import Ended, Row, of_last_day, summed_up
from runs.models import Attempt
from tests.support.rows import make_run
from threads.db.ids import first_id

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def row(minutes: float, status: str = "success") -> Row:
    return Row(first_id(NOW - timedelta(minutes=minutes)), status, 3, 4)


def ended(*, wait: float | None = 1.0, took: float = 2.0, status: str = "success") -> Ended:
    started = None if wait is None else NOW + timedelta(seconds=wait)
    return Ended(status, NOW, started, (started or NOW) + timedelta(seconds=took))


def test_hours_failures_and_tokens() -> None:
    rows = [row(10), row(50, "error"), row(70), row(60 * 23.5), row(60 * 25)]
    found = summed_up(rows, [ended(), ended(status="timeout")], NOW)
    assert [(hour.runs, hour.failed, hour.tokens) for hour in found.hours[-2:]] == [(1, 0, 7), (2, 1, 14)]
    assert (found.hours[0].runs, sum(hour.runs for hour in found.hours)) == (1, 4)
    assert found.hours[-1].begins == NOW - timedelta(hours=1)
    assert (found.ended, found.failed) == (2, 1)
    assert found.failures == [rows[1].id]


def test_the_spread_of_waits_and_durations_is_by_nearest_rank() -> None:
    found = summed_up([], [ended(wait=number, took=2 * number) for number in range(1, 101)], NOW)
    assert found.wait == (50.0, 95.0)
    assert found.duration == (100.0, 190.0)


def test_runs_that_never_began_have_no_spread() -> None:
    found = summed_up([], [ended(wait=None, status="interrupted")], NOW)
    assert (found.ended, found.wait, found.duration) == (1, None, None)


@pytest.mark.django_db
def test_only_runs_that_ended_within_the_hour_are_counted_as_ended() -> None:
    make_run("running")
    make_run("success", age=2 * 3600)
    make_run("error", age=60)
    found = of_last_day()
    assert (found.ended, found.failed, sum(hour.runs for hour in found.hours)) == (1, 1, 3)


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
