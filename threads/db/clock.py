"""The database's time, as this process knows it.

Processes on machines whose clocks differ agree on what is due, expired or newer only if all of them read one clock. On
PostgreSQL that is the server's, asked at the start and with each heartbeat; in between this process's monotonic
clock goes on from there, so that a wall clock that is set, also backwards, changes nothing. On SQLite it is this machine's
wall clock, which a process does not follow backwards either.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

#: How much a monotonic clock may go wrong, in seconds each second, before a new answer is worth more than an old one.
DRIFT = 1e-4
#: A step back shorter than this, in seconds, is a more exact answer, and is waited for; a longer one is another clock.
STEP = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database's clock said at a time of the monotonic clock, give or take `error` seconds."""

    said: datetime
    at: float
    error: float

    def expected(self, at: float) -> datetime:
        return self.said + timedelta(seconds=at - self.at)


#: None before anybody has asked.
_known: Answer | None = None
#: What `now` returned last.
_latest: datetime | None = None


def now() -> datetime:
    """The time to write into rows and to compare rows with; in one process it does not go backwards."""
    global _latest
    if _known is None:
        return timezone.now()
    current = _known.expected(time.monotonic())
    if connection.vendor != "postgresql":
        current = max(current, timezone.now())
    if _latest is not None and timedelta(0) < _latest - current < timedelta(seconds=STEP):
        # What comes later must not have an earlier place in its thread's queue.
        return _latest
    _latest = current
    return current


def note(said: datetime, *, asked: float) -> None:
    """Note what the database's clock said, if it says more than what is known.

    Args:
        asked: The monotonic time at which it was asked. The answer is from between then and now: one that took long says
            little. It is taken if it is more exact, or if what is known cannot be true (after a failover, or a sleep).
    """
    global _known
    heard = time.monotonic()
    answer = Answer(said, (asked + heard) / 2, (heard - asked) / 2)
    if _known is not None:
        error = _known.error + (answer.at - _known.at) * DRIFT
        off = abs((said - _known.expected(answer.at)).total_seconds())
        if answer.error > error and off <= error + answer.error:
            return
    _known = answer


def forget() -> None:
    """Know nothing, as before the first answer."""
    global _known, _latest
    _known = _latest = None


def ask() -> None:
    """Ask the database for its time; SQLite has none of its own."""
    if connection.vendor != "postgresql":
        note(timezone.now(), asked=time.monotonic())
        return
    with connection.cursor() as cursor:
        # Not before: connecting takes longer than the answer, which would seem that much older than it is.
        asked = time.monotonic()
        cursor.execute("SELECT clock_timestamp()")
        note(cursor.fetchone()[0], asked=asked)
