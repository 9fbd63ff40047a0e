"""The size limit of a user's store.

The size is summed up rarely: in between, each process grants a share of the remaining bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from threads.db.ids import UserId, user_parameter
from threads.models import StoreItem
from threads.models.querysets import Principal
from threads.store.exceptions import TooLarge

#: The most users that are cached.
REMEMBERED = 10_000
#: A process grants one part in `SHARES` of the remaining bytes before it sums up again.
SHARES = 8
# PostgreSQL knows the length of a compressed or out-of-line text without reading it.
SIZE = {
    "postgresql": "SELECT coalesce(sum(octet_length(value::text)), 0) FROM {table} WHERE user_id = %s",
    "sqlite": "SELECT coalesce(sum(length(CAST(value AS BLOB))), 0) FROM {table} WHERE user_id = %s",
}

#: For each user: bytes that may be written before the items are summed up again, and the limit then in force.
_left: dict[UserId, tuple[int, int]] = {}


def take_room(principal: Principal, values: Iterable[str], *, limit: int) -> None:
    """Account for new values of a user's items. Raises TooLarge.

    A replaced item still counts until the items are summed up again. So a limit is exceeded at most
    by the shares of other processes.

    Args:
        limit: The most bytes of all items of a user; 0 for no limit.
    """
    size = sum(len(value.encode()) for value in values)
    if not limit or not size:
        return
    left, counted_for = _left.get(principal.user_id, (0, limit))
    if counted_for != limit or left < size:
        free = limit - held(principal)
        if free < size:
            raise TooLarge(f"Your store has at most {limit} bytes; delete some of its items.")
        left = max(size, free // SHARES)
        if len(_left) >= REMEMBERED:
            _left.clear()
    _left[principal.user_id] = (left - size, limit)


def held(principal: Principal) -> int:
    """Bytes of all items of a user, as JSON."""
    table = StoreItem._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(SIZE[connection.vendor].format(table=table), [user_parameter(principal.user_id)])
        return int(cursor.fetchone()[0])
