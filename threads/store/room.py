"""The size limit of a user's store.

A user's items are summed up rarely, and outside the transaction that writes: each process keeps an
account of what is free, and subtracts what it writes itself.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db import connection
from django.db.models import IntegerField, Sum
from django.db.models.expressions import RawSQL

from threads.db.database import in_database
from threads.db.ids import UserId
from threads.db.time_limits import time_limit
from threads.models import StoreItem
from threads.models.item import StoreItemQuerySet
from threads.models.querysets import Principal
from threads.store.exceptions import TooLarge
from threads.store.items import Place, at, parts

#: The most users that are cached.
REMEMBERED = 10_000
#: A process may write one part in `SHARES` of the free bytes before it sums up again.
SHARES = 8
#: For this many seconds a sum is used in any case, so that a full store is not summed up at each put.
KEPT = 10.0
# PostgreSQL knows the length of a compressed or out-of-line text without reading it.
SIZE = {"postgresql": "octet_length(value::text)", "sqlite": "length(CAST(value AS BLOB))"}


@dataclass(slots=True)
class Account:
    """What a user may still write, in bytes."""

    limit: int
    #: Free bytes at the last sum, less what this process has written since.
    free: int
    #: Bytes that may be written before the items are summed up again.
    share: int
    #: `time.monotonic()` of the last sum.
    summed: float

    def take(self, growth: int) -> None:
        self.free -= growth
        self.share -= growth

    def is_current(self, growth: int) -> bool:
        """Whether the sum can be used for items that are larger by `growth` bytes."""
        return growth <= self.share or time.monotonic() - self.summed < KEPT


_accounts: dict[UserId, Account] = {}


async def take_room(
    principal: Principal, puts: Mapping[Place, str], gone: Collection[Place], *, limit: int
) -> None:
    """Account for items before they are written. Raises TooLarge, and QueryTooSlow.

    Items that are replaced or deleted make room. A limit is exceeded at most by what other processes
    write in `KEPT` seconds, and by their shares.

    Args:
        puts: The new values, as JSON.
        gone: Where items are deleted.
        limit: The most bytes of all items of a user; 0 for no limit.
    """
    size = sum(len(value.encode()) for value in puts.values())
    account = _accounts.get(principal.user_id)
    if account is not None and account.limit != limit:
        account = None
    if not limit or (account is None and not size):
        return
    if account is not None and not gone and size <= account.share:
        # What is replaced is not looked up as long as there is room enough.
        account.take(size)
        return
    growth = size - await in_database(held, principal, [*puts, *gone])
    if growth > 0 and (account is None or not account.is_current(growth)):
        account = await _summed(principal, limit)
    if account is None:
        return
    if growth > max(account.free, 0):
        raise TooLarge(f"Your store has at most {limit} bytes; delete some of its items.")
    account.take(growth)


async def _summed(principal: Principal, limit: int) -> Account:
    with time_limit(of=principal.user_id):
        free = limit - await in_database(held, principal)
    if len(_accounts) >= REMEMBERED:
        _accounts.clear()
    account = Account(limit, free, free // SHARES, time.monotonic())
    _accounts[principal.user_id] = account
    return account


def held(principal: Principal, places: Collection[Place] | None = None) -> int:
    """Bytes of the items of a user, as JSON: of all, or of those at some places."""
    if places is None:
        return _size(StoreItem.objects.filter(user_id=principal.user_id))
    own = StoreItem.objects.for_principal(principal)
    return sum(_size(own.filter(at(part))) for part in parts(places))


def _size(items: StoreItemQuerySet) -> int:
    length = RawSQL(SIZE[connection.vendor], [], output_field=IntegerField())
    return int(items.aggregate(size=Sum(length))["size"] or 0)
