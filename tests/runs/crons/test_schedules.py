"""When schedules are due, also when clocks change for daylight saving time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runs.crons.schedules import InvalidSchedule, check, next_time

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def firings(schedule: str, zone: str | None, start: str, end: str, *, late: float = 0.0) -> list[str]:
    """The local times at which a scheduler fires that runs `late` seconds after each date."""
    now, found = at(start), []
    while (due := next_time(schedule, zone, after=now)) is not None and due < at(end):
        assert due > now
        found.append(f"{due.astimezone(ZoneInfo(zone or 'UTC')):%d %H:%M %z}")
        now = due + timedelta(seconds=late)
    return found


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("*/5 * * * *", "2026-11-24T10:05"),
        ("0 0 1 1 *", "2027-01-01T00:00"),
        ("30 9 * * MON-FRI", "2026-11-25T09:30"),
        ("0 12 L * *", "2026-11-30T12:00"),
        ("@daily", "2026-11-25T00:00"),
        ("@Hourly", "2026-11-24T11:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
    ],
)
def test_the_next_time(schedule: str, expected: str) -> None:
    assert next_time(schedule, None, after=at("2026-11-24T10:03:20")) == at(expected)


def test_a_time_that_is_now_is_not_the_next_one() -> None:
    assert next_time("* * * * *", None, after=at("2026-11-24T10:00")) == at("2026-11-24T10:01")
    assert next_time("* * * * *", None, after=at("2026-11-24T09:59:59.999999")) == at("2026-11-24T10:00")


def test_the_zone_says_which_clock_it_is() -> None:
    assert next_time("0 9 * * *", "America/New_York", after=at("2026-07-01T00:00")) == at("2026-07-01T13:00")
    assert next_time("0 9 * * *", "America/New_York", after=at("2026-12-01T00:00")) == at("2026-12-01T14:00")


@pytest.mark.parametrize("late", [0.0, 0.4, 59.0, 1800.0, 3599.0])
def test_a_time_that_a_day_leaves_out_comes_right_after_the_gap(late: float) -> None:
    """On 28 March 2027, 02:00 is followed by 03:00."""
    days = firings("30 2 * * *", BERLIN, "2027-03-27T00:00", "2027-03-30T00:00", late=late)
    assert days == ["27 02:30 +0100", "28 03:00 +0200", "29 02:30 +0200"]


@pytest.mark.parametrize("late", [0.0, 0.4, 59.0, 1800.0, 3600.0, 5400.0])
def test_a_time_that_a_day_has_twice_comes_once(late: float) -> None:
    """On 25 October 2026, 02:59 is followed by 02:00."""
    days = firings("30 2 * * *", BERLIN, "2026-10-24T00:00", "2026-10-27T00:00", late=late)
    assert days == ["24 02:30 +0200", "25 02:30 +0200", "26 02:30 +0100"]


def test_an_interval_is_kept_through_both() -> None:
    forward = firings("*/30 * * * *", BERLIN, "2027-03-28T00:15", "2027-03-28T02:15")
    assert forward == ["28 01:30 +0100", "28 03:00 +0200", "28 03:30 +0200", "28 04:00 +0200"]
    back = firings("*/30 * * * *", BERLIN, "2026-10-24T23:45", "2026-10-25T02:15")
    assert back == ["25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100", "25 03:00 +0100"]


@pytest.mark.parametrize(
    ("schedule", "zone", "reason"),
    [
        ("zzz", None, "Invalid cron schedule: 'zzz'. Reason: It must have five fields"),
        ("", None, "Invalid cron schedule: ''. Reason: It must have five fields"),
        ("* * * * * *", None, "Invalid cron schedule: '* * * * * *'. Reason: It must have five fields"),
        ("61 * * * *", None, "Invalid cron schedule: '61 * * * *'. Reason: Bad minute."),
        ("0 0 30 2 *", None, "Invalid cron schedule: '0 0 30 2 *'. Reason: Bad day-of-month."),
        ("0 0 */31 2 MON#5", None, "Invalid cron schedule: '0 0 */31 2 MON#5'. Reason: It has no time."),
        ("* " * 200, None, "schedule is longer than 255 characters."),
        ("* * * * *", "Mars/Olympus", "Invalid timezone: 'Mars/Olympus'. It must be an IANA name"),
        ("* * * * *", "America", "Invalid timezone: 'America'."),
        ("* * * * *", "../../etc/passwd", "Invalid timezone: '../../etc/passwd'."),
        ("* * * * *", "", "Invalid timezone: ''."),
        ("* * * * *", "a" * 5000, "Invalid timezone: 'aaaa"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule: str, zone: str | None, reason: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        check(schedule, zone)
    assert str(refused.value).startswith(reason)
