"""Paged lists (wire protocol §5); the rows and the bytes of each page are bounded."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from django.conf import settings as django_settings
from django.db.models import F, Model, QuerySet, Value
from django.db.models.functions import Coalesce

from threads.db.values.sizes import Size, fitting

M = TypeVar("M", bound=Model)

#: The default of `RUNS["PAGE_LIMIT"]`.
PAGE_LIMIT = 10 * 1024 * 1024


def rows_of_page(
    ordered: QuerySet[M], *, offset: int, limit: int, large: Collection[str], columns: Collection[str] = ()
) -> tuple[list[M], bool]:
    """Return the rows of a page, and whether there are more after them.

    A page has fewer rows, at least one, if its large columns would exceed `RUNS["PAGE_LIMIT"]`
    bytes.

    Args:
        large: Text columns that may be large.
        columns: The columns to read; all if empty.
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
    # By primary key alone: these rows already match the conditions.
    read = ordered.model._default_manager.filter(pk__in=kept).only(*columns)
    by_pk = {row.pk: row for row in read}
    return [by_pk[pk] for pk in kept if pk in by_pk], len(there) > len(kept)


def page_limit() -> int:
    """The most bytes of a page; 0 for no limit."""
    limit: int = getattr(django_settings, "RUNS", {}).get("PAGE_LIMIT", PAGE_LIMIT)
    return limit


def page_headers(*, offset: int, shown: int, more: bool) -> dict[str, str]:
    """`X-Pagination-Total` counts the rows up to the end of this page, plus one if a page follows.

    Args:
        shown: How many rows the page has.
        more: Whether there is a page after it.
    """
    headers = {"X-Pagination-Total": str(offset + shown + more)}
    if more:
        headers["X-Pagination-Next"] = str(offset + shown)
    return headers
