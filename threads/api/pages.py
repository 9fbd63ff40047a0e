"""Lists that come in pages (wire protocol §5), each with a bounded number of rows and of bytes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from django.conf import settings as django_settings
from django.db.models import F, Func, IntegerField, Model, QuerySet, Value
from django.db.models.functions import Coalesce

M = TypeVar("M", bound=Model)

#: `RUNS["PAGE_LIMIT"]`, where the site says nothing.
PAGE_LIMIT = 10 * 1024 * 1024


class Size(Func):
    """Bytes of a text. PostgreSQL knows those of one that it has stored apart without reading it."""

    function = "octet_length"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="length(CAST(%(expressions)s AS BLOB))", **context)


def rows_of_page(
    ordered: QuerySet[M], *, offset: int, limit: int, large: Collection[str], columns: Collection[str] = ()
) -> tuple[list[M], bool]:
    """Return the rows of a page, and whether there are more after them.

    A page whose large columns would have more bytes than `RUNS["PAGE_LIMIT"]` has fewer rows, at least one.

    Args:
        large: The columns of text that may be large.
        columns: The columns to read; all if there are none.
    """
    large = [name for name in large if not columns or name in columns]
    rows = slice(offset, offset + limit + 1)
    if not large:
        found = list(ordered.only(*columns)[rows])
        return found[:limit], len(found) > limit
    sizes = [Coalesce(Size(F(name)), Value(0)) for name in large]
    sized = ordered.annotate(bytes_of_row=sum(sizes[1:], sizes[0]))
    there = list(sized.values_list("pk", "bytes_of_row")[rows])
    kept = [pk for pk, _ in there[: fitting([size for _, size in there[:limit]], page_limit())]]
    # By their keys alone: what the rows had to fulfil need not be looked for again.
    read = ordered.model._default_manager.filter(pk__in=kept).only(*columns)
    by_pk = {row.pk: row for row in read}
    return [by_pk[pk] for pk in kept if pk in by_pk], len(there) > len(kept)


def fitting(sizes: Sequence[int], most: int) -> int:
    """Return how many of the first rows have at most so many bytes together; at least one, if there is one."""
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if most and total > most:
            return max(1, number)
    return len(sizes)


def page_limit() -> int:
    """Bytes that a page may have; 0 for any number."""
    limit: int = getattr(django_settings, "RUNS", {}).get("PAGE_LIMIT", PAGE_LIMIT)
    return limit


def page_headers(*, offset: int, shown: int, more: bool) -> dict[str, str]:
    """`X-Pagination-Total` counts up to this page's end, and one more if there is a page after it.

    Args:
        shown: How many rows the page has.
        more: Whether there is a page after it.
    """
    headers = {"X-Pagination-Total": str(offset + shown + more)}
    if more:
        headers["X-Pagination-Next"] = str(offset + shown)
    return headers
