"""The database's time, as this process knows it.

Processes on machines whose clocks differ agree on what is due, expired or newer only if all of them read one clock. On
PostgreSQL that is the server's, asked at the start and with each heartbeat; in between this process's monotonic
clock goes on from there, so that a wall clock that is set, also backwards, changes nothing. On SQLite it is this machine's
wall clock, which a process does not follow backwards either.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

#: An answer that took longer than this, in seconds, is off by up to half of it.
SLOW = 0.25

#: What the database's clock said, at which time of the monotonic clock; None before anybody has asked.
_known: tuple[datetime, float] | None = None


def now() -> datetime:
    """The time to write into rows and to compare rows with."""
    if _known is None:
        return timezone.now()
    said, at = _known
    passed = said + timedelta(seconds=time.monotonic() - at)
    return passed if connection.vendor == "postgresql" else max(passed, timezone.now())


def note(said: datetime, *, asked: float) -> None:
    """Note what the database's clock said.

    Args:
        asked: The monotonic time at which it was asked. An answer that took long says little, and is not needed once
            another one is known.
    """
    global _known
    if _known is not None and time.monotonic() - asked > SLOW:
        return
    _known = (said, (asked + time.monotonic()) / 2)


def forget() -> None:
    """Know nothing, as before the first answer."""
    global _known
    _known = None


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
