"""Expiry of threads: how long one is kept after its last activity, and what happens to it then.

The time to live is set by the client, or by the site's `THREAD_TTL` at creation. Each admission and
each end of a run extends it. A thread with a run in flight never expires (`runs.retention.policy`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.conf import settings as django_settings
from django.db.models import Q

from threads.models import TtlStrategy

#: Ten years, in minutes.
LONGEST = 10 * 366 * 1440.0
DEMAND = (
    f"must be a positive number of minutes, at most {LONGEST:.0f}, or an object with such a number as `ttl` and, "
    "if it is wanted, a `strategy`: `delete` or `keep_latest`"
)


@dataclass(frozen=True, slots=True)
class Ttl:
    """How many minutes a thread is kept, and what happens to it then."""

    minutes: float
    strategy: TtlStrategy = TtlStrategy.DELETE


def parse_ttl(value: Any) -> Ttl:
    """Read a client's `ttl`. Raises ValueError, which says what it must be."""
    strategy: Any = TtlStrategy.DELETE
    if isinstance(value, dict):
        strategy = value.get("strategy") or strategy
        value = value.get("ttl")
    if isinstance(value, bool) or not isinstance(value, int | float) or strategy not in TtlStrategy.values:
        raise ValueError(DEMAND)
    if not math.isfinite(value) or not 0 < value <= LONGEST:
        raise ValueError(DEMAND)
    return Ttl(float(value), TtlStrategy(strategy))


def site_ttl() -> Ttl | None:
    """The site's default; described by `runs.conf`, checked by `runs.checks.configuration`."""
    given: dict[str, Any] = getattr(django_settings, "RUNS", {})
    minutes = given.get("THREAD_TTL", 0)
    strategy = TtlStrategy(given.get("THREAD_TTL_STRATEGY", TtlStrategy.DELETE))
    return Ttl(minutes, strategy) if minutes > 0 else None


def columns(ttl: Ttl | None, *, now: datetime) -> dict[str, Any]:
    """The columns of a new thread.

    Args:
        ttl: What the client asked for; None for the site's.
    """
    ttl = ttl or site_ttl()
    if ttl is None:
        return {}
    expires_at = now + timedelta(minutes=ttl.minutes)
    return {"ttl_minutes": ttl.minutes, "ttl_strategy": ttl.strategy, "expires_at": expires_at}


class Kept(Protocol):
    """The attributes of a thread that its expiry depends on."""

    @property
    def ttl_minutes(self) -> float | None: ...


def extended(thread: Kept, *, now: datetime) -> dict[str, Any]:
    """The changes of a thread on activity: its new expiry, if it has a time to live."""
    if thread.ttl_minutes is None:
        return {}
    return {"expires_at": now + timedelta(minutes=thread.ttl_minutes)}


def expired(now: datetime) -> Q:
    """Threads that have expired; callers check for runs in flight under the thread's lock."""
    return Q(expires_at__lte=now, discarded_at__isnull=True)
