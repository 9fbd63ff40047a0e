"""How much one user, one request and one run may take. Each limit is a setting, and 0 switches it off.

What a user has is counted in the database, seldom: each process takes a share of what is left, of which it lets through
without asking. So a limit is exceeded by no more than the shares of other processes. Connections are each process's own.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from weakref import WeakSet

from django.db import connection

from runs.conf import settings
from runs.exceptions import InvalidRequest, LimitReached
from runs.models import Cron, Run
from runs.requests.run import RunRequest
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import first_id, made_at
from threads.models import Thread

#: Users remembered at most; who has asked for nothing lately is forgotten first.
REMEMBERED = 10_000
#: Of what a user may still create, the part that one process lets through before it counts again. As many processes share
#: a limit without exceeding it.
SHARES = 8
MINUTE = 60.0

#: For each user: how many runs may be created at once, and when that was so (monotonic).
_allowances: dict[int, tuple[float, float]] = {}
#: For each user: how many runs may be created before they are counted, and until when (monotonic). None: no run may.
_shares: dict[int, tuple[int | None, float]] = {}
#: For each user: threads that may be created before they are counted again, and the limit they were counted for.
_room: dict[int, tuple[int, int]] = {}
#: Connections that each user has open, and the tasks that serve them.
_open: Counter[int] = Counter()
_serving: WeakSet[asyncio.Task[Any]] = WeakSet()


async def take_runs(user_id: int, count: int = 1) -> None:
    """Note that a user creates runs. Raises LimitReached; the user has as many a minute, also all at once."""
    if not settings.USER_RUNS_PER_MINUTE:
        return
    take_allowance(user_id, count)
    if not take_share(user_id, count):
        await in_database(check_rate, user_id, count)


def take_allowance(user_id: int, count: int = 1) -> None:
    """What this process allows by itself, also to who deletes the runs again. Raises LimitReached."""
    limit = settings.USER_RUNS_PER_MINUTE
    now = time.monotonic()
    had, since = _allowances.pop(user_id, (float(limit), now))
    has = min(float(limit), had + (now - since) * limit / 60)
    # As the newest: the dictionary is in the order of the last use.
    _allowances[user_id] = (has, now) if has < count else (has - count, now)
    if len(_allowances) > REMEMBERED:
        del _allowances[next(iter(_allowances))]
    if has < count:
        raise too_many_runs((count - has) * MINUTE / limit)


def take_share(user_id: int, count: int) -> bool:
    """Whether a user may create runs without their being counted in all processes; asks no database.

    Raises LimitReached while it is known that the user may create none.
    """
    now, limit = time.monotonic(), settings.USER_RUNS_PER_MINUTE
    left, until = _shares.get(user_id, (0, 0.0))
    if now >= until:
        left, until = limit // SHARES, now + MINUTE
    if left is None:
        raise too_many_runs(until - now)
    if left < count:
        return False
    _remember(user_id, left - count, until)
    return True


def check_rate(user_id: int, count: int) -> None:
    """Raise LimitReached if a user has created as many runs lately as may be, in whichever processes."""
    limit = settings.USER_RUNS_PER_MINUTE
    since = first_id(clock.now() - timedelta(seconds=MINUTE))
    # By their ids, which are in the order of time: another index would cost each run more than this costs a few.
    recent = Run.objects.filter(user_id=user_id, id__gte=since)
    left = limit - recent[:limit].count()
    if left >= count:
        _remember(user_id, (left - count) // SHARES, time.monotonic() + MINUTE)
        return
    wait = MINUTE * count / limit
    if not left and (oldest := recent.order_by("id").values_list("id", flat=True).first()):
        # Whoever asks on and on is counted once, and again when a run is more than a minute old.
        wait = max(1.0, (made_at(oldest) - made_at(since)).total_seconds())
        _remember(user_id, None, time.monotonic() + wait)
    raise too_many_runs(wait)


def too_many_runs(wait: float) -> LimitReached:
    return LimitReached(
        f"At most {settings.USER_RUNS_PER_MINUTE} runs a minute may be created.", retry_after=math.ceil(wait)
    )


def _remember(user_id: int, left: int | None, until: float) -> None:
    if len(_shares) >= REMEMBERED and user_id not in _shares:
        _shares.clear()
    _shares[user_id] = (left, until)


def check_input(request: RunRequest) -> None:
    """Raise InvalidRequest for an input with more messages than a person sends."""
    limit = settings.MESSAGES_PER_INPUT
    for given in (request.input, (request.command or {}).get("update")):
        messages = given.get("messages") if isinstance(given, Mapping) else None
        if limit and isinstance(messages, list) and len(messages) > limit:
            raise InvalidRequest(f"There are {len(messages)} messages; at most {limit} are allowed.")


def check_queue(user_id: int) -> None:
    """Raise LimitReached if as many runs of a user wait as may; reads no more of an index than that."""
    limit = settings.USER_QUEUE
    if not limit:
        return
    table = Run._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {table} WHERE user_id = %s AND status = 'pending' LIMIT 1 OFFSET {int(limit) - 1}",
            [user_id],
        )
        if cursor.fetchone() is not None:
            raise LimitReached(
                f"{limit} of your runs wait already; wait until some have begun.", retry_after=5
            )


def has_room(user_id: int) -> bool:
    """Whether it is known that a user may have one more thread; asks no database."""
    limit = settings.USER_THREADS
    left, counted_for = _room.get(user_id, (0, limit))
    if limit and (left <= 0 or counted_for != limit):
        return False
    if limit:
        _room[user_id] = (left - 1, limit)
    return True


def check_threads(user_id: int) -> None:
    """Raise LimitReached if a user has as many threads as may be. They are counted seldom, while they are few."""
    if has_room(user_id):
        return
    limit = settings.USER_THREADS
    count = Thread.objects.filter(user_id=user_id).visible()[:limit].count()
    if count >= limit:
        raise LimitReached(f"You have {limit} threads, and may have no more; delete some.", retry_after=60)
    if len(_room) >= REMEMBERED:
        _room.clear()
    # Other processes count too: none uses up all that is left.
    _room[user_id] = ((limit - count - 1) // 4, limit)


def check_crons(user_id: int) -> None:
    """Raise LimitReached if a user has as many crons as may be."""
    limit = settings.USER_CRONS
    if limit and Cron.objects.filter(user_id=user_id)[:limit].count() >= limit:
        raise LimitReached(f"You have {limit} crons, and may have no more; delete some.", retry_after=60)


def hold_connection(user_id: int) -> None:
    """Note that the present task serves a connection that stays open, until the task ends. Raises LimitReached."""
    limit = settings.USER_CONNECTIONS
    task = asyncio.current_task()
    if not limit or task is None or task in _serving:
        return
    if _open[user_id] >= limit:
        raise LimitReached(f"You have {limit} open streams; close some.", retry_after=5)
    _open[user_id] += 1
    _serving.add(task)
    task.add_done_callback(lambda _: _release(user_id))


def _release(user_id: int) -> None:
    _open[user_id] -= 1
    if _open[user_id] <= 0:
        del _open[user_id]
