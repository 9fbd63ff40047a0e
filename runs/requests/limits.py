"""Limits per user, request and run. Each limit is a setting, and 0 switches it off.

The database is queried rarely: each process reserves a share of a user's remaining quota, and
admits requests from that share without a query. So a limit is exceeded by at most the other
processes' shares. Connections are counted per process.

Three limits are elsewhere: runs that execute at once (`runs.lifecycle.claims`), bytes in the store
(`threads.store.room`), and failed logins (`runs.identity.logins`).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from weakref import WeakSet

from django.db import connection

from runs.conf import settings
from runs.encoding import encode
from runs.exceptions import InvalidRequest, LimitReached, RequestTooLarge
from runs.models import Cron, Run
from runs.requests.command import messages_in, values_in
from runs.requests.run import RunRequest
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import UserId, first_id, made_at, user_parameter
from threads.models import Thread

#: Maximum number of remembered users; the least recently active one is dropped first.
REMEMBERED = 10_000
#: A process reserves one part in this many of a user's remaining quota before it counts again. This many
#: processes can share a limit without exceeding it.
SHARES = 8
MINUTE = 60.0

#: For each user: how many runs could be created at once, and when that was computed (monotonic).
_allowances: dict[UserId, tuple[float, float]] = {}
#: For each user: how many runs may be created without a count, and until when (monotonic). None: no runs at
#: all.
_shares: dict[UserId, tuple[int | None, float]] = {}
#: For each user: how many threads may be created without a count, and the limit at the last count.
_room: dict[UserId, tuple[int, int]] = {}
#: Connections that each user has open, and the tasks that serve them.
_open: Counter[UserId] = Counter()
_serving: WeakSet[asyncio.Task[Any]] = WeakSet()
#: The tasks that serve the websockets of this process.
_sockets: set[asyncio.Task[Any]] = set()


async def take_runs(user_id: UserId, count: int = 1) -> None:
    """Count new runs of a user.

    Raises LimitReached. The runs of a minute may be created all at once.
    """
    if not settings.USER_RUNS_PER_MINUTE:
        return
    take_allowance(user_id, count)
    if not take_share(user_id, count):
        await in_database(check_rate, user_id, count)


def take_runs_now(user_id: UserId, count: int = 1) -> None:
    """Like `take_runs`, on the present connection."""
    if settings.USER_RUNS_PER_MINUTE:
        take_allowance(user_id, count)
        if not take_share(user_id, count):
            check_rate(user_id, count)


def take_allowance(user_id: UserId, count: int = 1) -> None:
    """Apply this process's own rate limit, which also counts deleted runs. Raises LimitReached."""
    limit = settings.USER_RUNS_PER_MINUTE
    now = time.monotonic()
    had, since = _allowances.pop(user_id, (float(limit), now))
    has = min(float(limit), had + (now - since) * limit / 60)
    # Inserted again as the newest: the dictionary is in the order of the last use.
    _allowances[user_id] = (has, now) if has < count else (has - count, now)
    if len(_allowances) > REMEMBERED:
        del _allowances[next(iter(_allowances))]
    if has < count:
        raise too_many_runs((count - has) * MINUTE / limit)


def take_share(user_id: UserId, count: int) -> bool:
    """Whether this process's share allows the runs without a count; no query.

    Raises LimitReached while a recent count shows that the user may create none.
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


def check_rate(user_id: UserId, count: int) -> None:
    """Raise LimitReached if a user's runs of the last minute, in all processes, reach the limit."""
    limit = settings.USER_RUNS_PER_MINUTE
    since = first_id(clock.now() - timedelta(seconds=MINUTE))
    # Filtered by id, because ids are ordered by time: another index would cost every run more than this
    # query.
    recent = Run.objects.filter(user_id=user_id, id__gte=since)
    left = limit - recent[:limit].count()
    if left >= count:
        _remember(user_id, (left - count) // SHARES, time.monotonic() + MINUTE)
        return
    wait = MINUTE * count / limit
    if not left and (oldest := recent.order_by("id").values_list("id", flat=True).first()):
        # A user who keeps trying is counted again only when the oldest run leaves the window.
        wait = max(1.0, (made_at(oldest) - made_at(since)).total_seconds())
        _remember(user_id, None, time.monotonic() + wait)
    raise too_many_runs(wait)


def too_many_runs(wait: float) -> LimitReached:
    return LimitReached(
        f"At most {settings.USER_RUNS_PER_MINUTE} runs a minute may be created.", retry_after=math.ceil(wait)
    )


def _remember(user_id: UserId, left: int | None, until: float) -> None:
    if len(_shares) >= REMEMBERED and user_id not in _shares:
        _shares.clear()
    _shares[user_id] = (left, until)


def check_edit(*values: Any) -> None:
    """Raise InvalidRequest if the state values of an edit have too many messages together.

    It may bring a whole conversation, for which no model is asked.
    """
    _check_messages(settings.MESSAGES_PER_EDIT, values)


def _check_messages(limit: int, values: Iterable[Any]) -> None:
    count = sum(map(messages_in, values))
    if limit and count > limit:
        raise InvalidRequest(f"There are {count} messages; at most {limit} are allowed.")


def check_input(request: RunRequest) -> None:
    """Raise InvalidRequest for an input with too many messages, RequestTooLarge for a large configuration."""
    _check_messages(settings.MESSAGES_PER_INPUT, [request.input, *values_in(request.command or {})])
    most = settings.ASSISTANT_LIMIT
    # They are copied to the run and to its thread, and parts of them to each checkpoint.
    if most and len(encode([request.config, request.context, request.metadata])) > most:
        raise RequestTooLarge(
            f"The config, context and metadata of a run have at most {most} bytes as JSON together."
        )


def check_queue(user_id: UserId) -> None:
    """Raise LimitReached if a user's queue is full. Reads at most `USER_QUEUE` index entries."""
    limit = settings.USER_QUEUE
    if not limit:
        return
    table = Run._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {table} WHERE user_id = %s AND status = 'pending' LIMIT 1 OFFSET {int(limit) - 1}",
            [user_parameter(user_id)],
        )
        if cursor.fetchone() is not None:
            raise LimitReached(
                f"{limit} of your runs wait already; wait until some have begun.", retry_after=5
            )


def has_room(user_id: UserId) -> bool:
    """Whether this process's share allows one more thread; no query."""
    limit = settings.USER_THREADS
    left, counted_for = _room.get(user_id, (0, limit))
    if limit and (left <= 0 or counted_for != limit):
        return False
    if limit:
        _room[user_id] = (left - 1, limit)
    return True


def check_threads(user_id: UserId) -> None:
    """Raise LimitReached if a user has the maximum of threads.

    Far from the limit, counts are rare.
    """
    if has_room(user_id):
        return
    limit = settings.USER_THREADS
    count = Thread.objects.filter(user_id=user_id).visible()[:limit].count()
    if count >= limit:
        raise LimitReached(f"You have {limit} threads, and may have no more; delete some.", retry_after=60)
    if len(_room) >= REMEMBERED:
        _room.clear()
    # Other processes admit threads too, so none reserves all that is left.
    _room[user_id] = ((limit - count - 1) // 4, limit)


def check_crons(user_id: UserId) -> None:
    """Raise LimitReached if a user has the maximum of crons."""
    limit = settings.USER_CRONS
    if limit and Cron.objects.filter(user_id=user_id)[:limit].count() >= limit:
        raise LimitReached(f"You have {limit} crons, and may have no more; delete some.", retry_after=60)


def hold_connection(user_id: UserId) -> None:
    """Count the current task as an open connection until the task ends. Raises LimitReached."""
    limit = settings.USER_CONNECTIONS
    task = asyncio.current_task()
    if not limit or task is None or task in _serving:
        return
    if _open[user_id] >= limit:
        raise LimitReached(f"You have {limit} open streams; close some.", retry_after=5)
    _open[user_id] += 1
    _serving.add(task)
    task.add_done_callback(lambda _: _release(user_id))


def hold_socket() -> None:
    """Count the current task as a websocket until the task ends. Raises LimitReached."""
    limit = settings.SOCKETS
    task = asyncio.current_task()
    assert task is not None
    if limit and len(_sockets) >= limit:
        raise LimitReached("This server has too many open websockets.", retry_after=5)
    _sockets.add(task)
    task.add_done_callback(_sockets.discard)


def open_sockets() -> int:
    """The number of websockets that this process has open."""
    return len(_sockets)


def _release(user_id: UserId) -> None:
    _open[user_id] -= 1
    if _open[user_id] <= 0:
        del _open[user_id]
