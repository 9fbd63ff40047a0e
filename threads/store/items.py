"""Reads of items; each function is synchronous, for one call on a database thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import F, Q, Value
from django.db.models.functions import StrIndex
from langgraph.store.base import Item

from threads.db import clock
from threads.db.ids import user_parameter
from threads.db.namespaces import Namespace, below, decode, encode
from threads.db.values.sizes import Size, bounded, fitting
from threads.filters import shares
from threads.models import StoreItem
from threads.models.item import StoreItemQuerySet
from threads.models.querysets import Principal

#: The most rows that one statement reads or writes.
PAGE = 500
#: The most bytes of the rows of a page.
PAGE_BYTES = 10 * 1024 * 1024
#: A refresh that would extend the expiry by less than this share of the time to live is skipped, so that most
#: reads write nothing.
WORTH_REFRESHING = 0.01


class Place(NamedTuple):
    namespace: Namespace
    key: str


class Found(NamedTuple):
    """A row, without its vectors."""

    id: int
    namespace: str
    key: str
    value: Any
    created_at: datetime
    updated_at: datetime
    ttl_minutes: float | None
    expires_at: datetime | None
    #: Bytes of the value.
    size: int

    def item(self) -> dict[str, Any]:
        """The arguments of LangGraph's `Item`."""
        return {
            "namespace": decode(self.namespace),
            "key": self.key,
            "value": self.value,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def get(
    principal: Principal, places: Collection[Place], *, refreshed: Collection[Place]
) -> dict[Place, Item]:
    """The items at these places; those to refresh have a new expiry."""
    found: dict[Place, Found] = {}
    for part in parts(places):
        rows = _live(principal).filter(at(part)).annotate(size=Size(F("value"))).values_list(*Found._fields)
        # Users who did not share their stores before may each have an item here; the latest one counts.
        latest = sorted(map(Found._make, rows), key=lambda row: row.updated_at)
        found |= {Place(decode(row.namespace), row.key): row for row in latest}
    refresh(principal, [row for place, row in found.items() if place in refreshed])
    return {place: Item(**row.item()) for place, row in found.items()}


def newest(
    principal: Principal,
    prefix: Sequence[str],
    fragments: Collection[str],
    *,
    after: Found | None = None,
    offset: int = 0,
    limit: int = PAGE,
    most: int = PAGE_BYTES,
) -> tuple[list[Found], bool]:
    """A page of the items below a prefix, the most recently put first, after a given one; and whether
    there are more.

    Args:
        most: The most bytes of the page, which has at least one item; 0 for no limit.
    """
    items = _containing(_live(principal).below(prefix), fragments)
    if after is not None:
        # Only the first condition is a bound of the index.
        later = Q(updated_at__lt=after.updated_at) | Q(id__lt=after.id)
        items = items.filter(later, updated_at__lte=after.updated_at)
    sized = items.annotate(size=Size(F("value"))).order_by("-updated_at", "-id")
    rows, more = bounded(sized, Found._fields, rows=slice(offset, offset + limit + 1), most=most)
    return [Found._make(row) for row in rows], more


class Embedded(NamedTuple):
    """The columns that a ranking reads."""

    id: int
    namespace: str
    key: str
    updated_at: datetime
    embedding: str
    vectors: bytes
    size: int
    value: Any = None


def embedded(
    principal: Principal,
    prefix: Sequence[str],
    fragments: Collection[str],
    *,
    after: Embedded | None,
    values: bool,
) -> tuple[list[Embedded], bool]:
    """A page of the items below a prefix, with vectors, in an order that puts do not change; and whether
    there are more.
    """
    items = _containing(_live(principal).below(prefix), fragments)
    if after is not None:
        later = Q(namespace__gt=after.namespace) | Q(key__gt=after.key)
        items = items.filter(later, namespace__gte=after.namespace)
    columns = Embedded._fields if values else Embedded._fields[:-1]
    size = Size(F("vectors")) + Size(F("value")) if values else Size(F("vectors"))
    sized = items.annotate(size=size).order_by("namespace", "key")
    rows, more = bounded(sized, columns, rows=slice(PAGE + 1), most=PAGE_BYTES)
    return [Embedded(*row) for row in rows], more


def by_ids(principal: Principal, ids: Sequence[int], *, most: int = 0) -> list[Found]:
    """The remaining items with these ids, in this order; fewer if they have more than `most` bytes."""
    if most:
        sizes: dict[int, int] = {}
        for part in parts(ids):
            sizes |= dict(_live(principal).filter(id__in=part).values_list("id", Size(F("value"))))
        there = [each for each in ids if each in sizes]
        ids = there[: fitting([sizes[each] for each in there], most)]
    found: dict[int, Found] = {}
    for part in parts(ids):
        rows = (
            _live(principal).filter(id__in=part).annotate(size=Size(F("value"))).values_list(*Found._fields)
        )
        found |= {row.id: row for row in map(Found._make, rows)}
    return [found[each] for each in ids if each in found]


def namespaces(principal: Principal, prefix: Sequence[str], *, after: str = "") -> list[str]:
    """A page of the namespaces below a prefix that have items: as text, sorted, after a given one.

    Skips from one namespace to the next by the index, independent of the number of items in each.
    """
    bounds = below(prefix)
    whose = "TRUE" if shares(principal, "store") else "user_id = %(user)s"
    end = "AND namespace < %(end)s" if bounds else ""
    following = f"""SELECT min(namespace) FROM {StoreItem._meta.db_table} WHERE {whose} {end}
        AND (expires_at IS NULL OR expires_at > %(now)s) AND namespace"""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH RECURSIVE each_one(namespace) AS (
                {following} >= %(start)s AND namespace > %(after)s
                UNION ALL
                SELECT ({following} > each_one.namespace) FROM each_one WHERE each_one.namespace IS NOT NULL
            ) SELECT namespace FROM each_one WHERE namespace IS NOT NULL LIMIT {PAGE}""",
            {
                "user": user_parameter(principal.user_id),
                "now": connection.ops.adapt_datetimefield_value(clock.now()),
                "start": bounds[0] if bounds else "",
                "end": bounds[1] if bounds else "",
                "after": after,
            },
        )
        return [namespace for (namespace,) in cursor.fetchall()]


def refresh(principal: Principal, found: Iterable[Found]) -> None:
    """Extend the expiry of items by their time to live, from now on."""
    now = clock.now()
    by_ttl: dict[float, list[int]] = defaultdict(list)
    for row in found:
        if row.ttl_minutes is not None and row.expires_at is not None:
            ttl = timedelta(minutes=row.ttl_minutes)
            if now + ttl - row.expires_at > ttl * WORTH_REFRESHING:
                by_ttl[row.ttl_minutes].append(row.id)
    for minutes, ids in by_ttl.items():
        for part in parts(ids):
            # Checked again: an item may have expired, or have been put with another time to live.
            items = StoreItem.objects.for_principal(principal).live(now)
            items.filter(id__in=part, ttl_minutes=minutes).update(expires_at=now + timedelta(minutes=minutes))


def _live(principal: Principal) -> StoreItemQuerySet:
    return StoreItem.objects.for_principal(principal).live(clock.now())


def _containing(items: StoreItemQuerySet, fragments: Collection[str]) -> StoreItemQuerySet:
    """Items whose JSON contains these texts, which are parameters, not patterns."""
    for number, fragment in enumerate(fragments):
        items = items.alias(**{f"at_{number}": StrIndex("value", Value(fragment))}).filter(
            **{f"at_{number}__gt": 0}
        )
    return items


def at(places: Iterable[Place]) -> Q:
    """The condition that an item is at one of these places."""
    keys: dict[Namespace, list[str]] = defaultdict(list)
    for place in places:
        keys[place.namespace].append(place.key)
    wanted = Q()
    for namespace, some in keys.items():
        wanted |= Q(namespace=encode(namespace), key__in=some)
    return wanted


def parts(things: Iterable[Any]) -> Iterator[list[Any]]:
    """Split things into parts for one statement each."""
    left = iter(things)
    while part := list(islice(left, PAGE)):
        yield part
