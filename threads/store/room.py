"""How much one user's store may hold. What it holds is added up seldom: each process takes a share of what is left."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from threads.models import StoreItem
from threads.models.querysets import Principal
from threads.store.exceptions import TooLarge

#: Users remembered at most.
REMEMBERED = 10_000
#: Of what is left, the part that one process lets through before it adds up again.
SHARES = 8
# Of a text that is compressed or stored apart, PostgreSQL knows the length without reading it.
SIZE = {
    "postgresql": "SELECT coalesce(sum(octet_length(value::text)), 0) FROM {table} WHERE user_id = %s",
    "sqlite": "SELECT coalesce(sum(length(CAST(value AS BLOB))), 0) FROM {table} WHERE user_id = %s",
}

#: For each user: bytes that may be written before the items are added up again, and the limit that this was for.
_left: dict[int, tuple[int, int]] = {}


def take_room(principal: Principal, values: Iterable[str], *, limit: int) -> None:
    """Note that a user's items grow by these values. Raises TooLarge.

    What is put in the place of another item counts until the next time the items are added up. So a limit is exceeded by
    no more than the shares of other processes.

    Args:
        limit: Bytes that all items of one user may have; 0 for any number.
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
        cursor.execute(SIZE[connection.vendor].format(table=table), [principal.user_id])
        return int(cursor.fetchone()[0])
