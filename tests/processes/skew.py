"""Gives a process a skewed wall clock that tests can change; its monotonic clock stays right."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import uuid_utils.compat
from django.utils import timezone

_time, _time_ns, _now = time.time, time.time_ns, timezone.now
NANOSECONDS = 10**9


def skew() -> float:
    """The seconds by which this process's clock is ahead, from the file in `CLOCK_FILE`."""
    return float(Path(os.environ["CLOCK_FILE"]).read_text())


def shifted_time() -> float:
    return _time() + skew()


def shifted_time_ns() -> int:
    return _time_ns() + int(skew() * NANOSECONDS)


def shifted_now() -> datetime:
    return _now() + timedelta(seconds=skew())


def shifted_uuid7() -> uuid.UUID:
    now = shifted_time_ns()
    return uuid_utils.compat.uuid7(now // NANOSECONDS, now % NANOSECONDS)


def install() -> None:
    """Install the skewed clock, before any module imports the functions by name."""
    time.time, time.time_ns = shifted_time, shifted_time_ns
    timezone.now = shifted_now
    import threads.db.ids

    threads.db.ids.uuid7 = shifted_uuid7  # type: ignore[assignment]
