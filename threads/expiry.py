"""Threads that expire: how long one is kept after the last thing that happened on it, and what is done with it then.

A thread has its time to live from its client, or from the site's `THREAD_TTL` when it was created. Each run that is
admitted or ends puts the expiry off; one with a run in flight never expires (`runs.retention.policy` looks).
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
    """How many minutes a thread is kept, and what is done with it then."""

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
    """What the site gives threads whose client says nothing; described and checked by `runs.conf` and `runs.checks.configuration`."""
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
    """A thread, or what is known of it."""

    @property
    def ttl_minutes(self) -> float | None: ...


def extended(thread: Kept, *, now: datetime) -> dict[str, Any]:
    """What changes about a thread when something happens on it: its expiry, if it has one."""
    if thread.ttl_minutes is None:
        return {}
    return {"expires_at": now + timedelta(minutes=thread.ttl_minutes)}


def expired(now: datetime) -> Q:
    """Threads whose time is over; whoever acts on it looks for runs in flight under the thread's lock."""
    return Q(expires_at__lte=now, discarded_at__isnull=True)
