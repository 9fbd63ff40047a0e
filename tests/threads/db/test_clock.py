"""The database's time: one clock for processes on machines whose clocks differ."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from threads.db import clock


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


class Moment:
    """A monotonic clock that a test sets, with a database's clock."""

    said = datetime(2020, 1, 1, tzinfo=UTC)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.at)

    def answer(self, *, after: float, took: float, wrong: float = 0.0) -> None:
        """Ask `after` seconds later.

        The answer is from the end of the `took` seconds, and off by `wrong` seconds.
        """
        asked = self.at + after
        self.at = asked + took
        clock.note(self.said + timedelta(seconds=self.at - 1000.0 + wrong), asked=asked)

    @property
    def off(self) -> float:
        """How far the clock is ahead of the true time, in seconds."""
        return (clock.now() - self.said).total_seconds() - (self.at - 1000.0)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


@pytest.mark.postgresql
class TestAnswers:
    def test_one_that_took_long_does_not_replace_a_more_exact_one(self, moment: Moment) -> None:
        moment.answer(after=0, took=0.001)
        for _ in range(10):
            moment.answer(after=1, took=0.2)
            assert abs(moment.off) < 0.001

    def test_one_that_is_more_exact_is_taken(self, moment: Moment) -> None:
        moment.answer(after=0, took=0.4)
        assert moment.off == pytest.approx(0.2)
        moment.answer(after=1, took=0.002)
        moment.at += 1
        assert abs(moment.off) < 0.002

    def test_what_contradicts_the_known_is_taken_however_long_it_took(self, moment: Moment) -> None:
        moment.answer(after=0, took=0.001)
        moment.answer(after=1, took=0.3, wrong=3600)
        assert moment.off == pytest.approx(3600, abs=0.2)
        moment.answer(after=1, took=0.001, wrong=-3600)
        assert moment.off == pytest.approx(-3600, abs=0.01)

    def test_a_more_exact_answer_does_not_turn_the_clock_back(self, moment: Moment) -> None:
        moment.answer(after=0, took=0.4)
        before = clock.now()
        moment.answer(after=0.01, took=0.002)
        assert clock.now() == before
        moment.at += 1
        assert clock.now() > before


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
