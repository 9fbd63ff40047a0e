"""The sizes of stored values, by which pages of rows are bounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Func, IntegerField, QuerySet

#: How many rows of SQLite are fetched at once.
FETCHED = 4


class Size(Func):
    """Bytes of a text. PostgreSQL knows the size of an out-of-line value without reading it."""

    function = "octet_length"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="length(CAST(%(expressions)s AS BLOB))", **context)


def fitting(sizes: Sequence[int], most: int) -> int:
    """Return how many of the first rows fit into `most` bytes; at least one, if there is one."""
    total = 0
    for number, size in enumerate(sizes):
        total += size
        if most and total > most:
            return max(1, number)
    return len(sizes)


def bounded(
    sized: QuerySet[Any], columns: Sequence[str], *, rows: slice, most: int
) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the rows of a page, and whether there are more after them.

    A page has fewer rows, at least one, if they would have more than `most` bytes.

    Args:
        sized: Sorted rows, each annotated with its `size` in bytes.
        columns: What to read of them, `size` among it.
        rows: Those of the page, and one more.
        most: 0 for no limit.
    """
    count = rows.stop - (rows.start or 0) - 1
    there = sized.values_list(*columns)[rows]
    if most and connection.vendor == "postgresql":
        # It knows the sizes without reading the values.
        sizes = list(sized.values_list("size", flat=True)[rows])
        fits = fitting(sizes[:count], most)
        start = rows.start or 0
        kept = list(sized.values_list(*columns)[start : start + fits])
        # Nothing is left of what was deleted meanwhile, after which a caller could go on.
        return kept, bool(kept) and len(sizes) > fits
    # Those that do not fit are not fetched.
    found: Iterable[tuple[Any, ...]] = there.iterator(chunk_size=FETCHED) if most else there
    size, total, read = columns.index("size"), 0, list[tuple[Any, ...]]()
    for row in found:
        total += row[size]
        if len(read) == count or (most and read and total > most):
            return read, True
        read.append(row)
    return read, False
