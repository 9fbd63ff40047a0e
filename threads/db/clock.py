"""This process's estimate of the database's time.

Machines' clocks differ, so processes agree on what is due, expired or newer only if all read one
clock. On PostgreSQL that is the server's, read at the start and with each heartbeat. In between it
is extrapolated by the monotonic clock, so that changes of the wall clock have no effect. On SQLite
it is this machine's wall clock, except that time never goes backwards within a process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

#: The assumed drift of a monotonic clock, in seconds per second; it decides when a new answer beats an old
#: one.
DRIFT = 1e-4
#: A step back shorter than this, in seconds, is a more exact answer: `now` holds until it catches up. A
#: longer one is a different clock.
STEP = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The database's time at a time of the monotonic clock, within `error` seconds."""

    said: datetime
    at: float
    error: float

    def expected(self, at: float) -> datetime:
        return self.said + timedelta(seconds=at - self.at)


#: None before the first answer.
_known: Answer | None = None
#: What `now` returned last.
_latest: datetime | None = None


def now() -> datetime:
    """The time to write into rows and to compare rows with.

    It does not go backwards within a process.
    """
    global _latest
    if _known is None:
        return timezone.now()
    current = _known.expected(time.monotonic())
    if connection.vendor != "postgresql":
        current = max(current, timezone.now())
    if _latest is not None and timedelta(0) < _latest - current < timedelta(seconds=STEP):
        # A later row must not get an earlier place in its thread's queue.
        return _latest
    _latest = current
    return current


def note(said: datetime, *, asked: float) -> None:
    """Store an answer of the database's clock if it improves on the current one.

    Args:
        asked: The monotonic time of the query. The answer is from between then and now, so a slow
            one is inexact. It is stored if it is more exact, or if it contradicts the current one
            (after a failover or a sleep).
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
    """Forget all answers."""
    global _known, _latest
    _known = _latest = None


def ask() -> None:
    """Ask the database for its time; SQLite has none of its own."""
    if connection.vendor != "postgresql":
        note(timezone.now(), asked=time.monotonic())
        return
    with connection.cursor() as cursor:
        # Only after connecting, which takes longer than the query and would make the answer seem older than
        # it is.
        asked = time.monotonic()
        cursor.execute("SELECT clock_timestamp()")
        note(cursor.fetchone()[0], asked=asked)
