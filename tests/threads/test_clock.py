"""The database's time: one clock for processes on machines whose clocks differ."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from threads import clock


@pytest.fixture(autouse=True)
def unknown() -> Iterator[None]:
    clock.forget()
    yield
    clock.forget()


def test_before_the_database_was_asked_the_machines_clock_is_used() -> None:
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.postgresql
def test_what_the_database_said_goes_on_by_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    said = datetime(2020, 1, 1, tzinfo=UTC)
    clock.note(said, asked=998.0)
    assert clock.now() == said + timedelta(seconds=1), "half of the round trip has passed"
    moment = 1060.0
    assert clock.now() == said + timedelta(seconds=61)


@pytest.mark.postgresql
def test_an_answer_that_took_long_is_not_taken_for_the_time_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: moment)
    said = datetime(2020, 1, 1, tzinfo=UTC)
    clock.note(said, asked=1000.0)
    moment = 1010.0
    clock.note(said + timedelta(seconds=4), asked=1004.0)
    assert clock.now() == said + timedelta(seconds=10)
    clock.note(said + timedelta(seconds=10.1), asked=1009.9)
    assert clock.now() == said + timedelta(seconds=10.15)


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_wrong_clock_of_this_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    clock.ask()
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime(1999, 1, 1, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        said: Any = cursor.fetchone()[0]
    assert abs(clock.now() - said) < timedelta(seconds=0.5)


@pytest.mark.sqlite
def test_a_wall_clock_that_is_set_back_is_not_followed_and_one_that_is_ahead_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock.ask()
    began = clock.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: began - timedelta(hours=1))
    assert timedelta(0) <= clock.now() - began < timedelta(seconds=5)
    monkeypatch.setattr("django.utils.timezone.now", lambda: began + timedelta(hours=1))
    assert clock.now() == began + timedelta(hours=1)
