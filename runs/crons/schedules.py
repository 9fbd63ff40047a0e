"""Cron expressions: when one is due next. Pure: no Django, no database.

Daylight saving time works as in Debian's cron. A job in the skipped hour runs right after the gap,
and a job in the repeated hour runs the first time. Jobs whose minutes or hours begin with `*`
follow elapsed time instead.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

FIELDS = 5
NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
LONGEST_SCHEDULE, LONGEST_TIMEZONE = 255, 64
EXPECTED = (
    "It must have five fields (minute, hour, day of the month, month, day of the week), such as '*/5 * * * *' for every "
    "five minutes"
)


class InvalidSchedule(ValueError):
    """The schedule or its time zone is invalid."""


def check(schedule: str, timezone: str | None) -> None:
    """Raise InvalidSchedule with the reason, also for a schedule that never fires."""
    if len(schedule) > LONGEST_SCHEDULE:
        raise InvalidSchedule(f"schedule is longer than {LONGEST_SCHEDULE} characters.")
    zone = _zone(timezone)
    try:
        times = _times(schedule, datetime(2024, 1, 1, tzinfo=zone))
    except CronSimError as error:
        raise _invalid(schedule, str(error)) from None
    if next(times, None) is None:
        raise _invalid(schedule, "It has no time")


def next_time(schedule: str, timezone: str | None, *, after: datetime) -> datetime | None:
    """The schedule's first time after `after`, in UTC; None if there is none within 50 years.

    Raises InvalidSchedule.
    """
    try:
        times = _times(schedule, after.astimezone(_zone(timezone)))
    except CronSimError as error:
        raise _invalid(schedule, str(error)) from None
    for found in times:
        moment = found.astimezone(UTC)
        # During a repeated hour, a time of its first occurrence is already past.
        if moment > after:
            return moment
    return None


def _times(schedule: str, start: datetime) -> CronSim:
    expression = NAMED.get(schedule.strip().lower(), schedule)
    if len(expression.split()) != FIELDS:
        raise CronSimError(EXPECTED)
    return CronSim(expression, start)


def _invalid(schedule: str, reason: str) -> InvalidSchedule:
    return InvalidSchedule(f"Invalid cron schedule: {schedule!r}. Reason: {reason}.")


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    if name and len(name) <= LONGEST_TIMEZONE:
        try:
            return ZoneInfo(name)
        except (ValueError, KeyError, OSError):  # no name, an unknown one, a folder of names
            pass
    raise InvalidSchedule(
        f"Invalid timezone: {name[:LONGEST_TIMEZONE]!r}. It must be an IANA name, such as 'Europe/Berlin'."
    )
