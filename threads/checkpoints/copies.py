"""What a copy of a thread's checkpoints consists of. Pure: no database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: What one transaction of a copy writes at most, unless a single checkpoint is larger.
PAGE_ROWS, PAGE_BYTES = 500, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that are copied together: a checkpoint with its writes, or the value of a channel."""

    table: str
    #: The primary key without the thread.
    key: tuple[str, ...]
    rows: int
    bytes: int


class SourceChanged(RuntimeError):
    """Checkpoints were deleted while they were copied."""


def pages(parts: Iterable[Part], *, rows: int = PAGE_ROWS, most: int = PAGE_BYTES) -> Iterator[list[Part]]:
    """Group parts of the same table so that each group has at most so many rows and bytes."""
    page: list[Part] = []
    page_rows = page_bytes = 0
    for part in parts:
        page_rows, page_bytes = page_rows + part.rows, page_bytes + part.bytes
        if page and (page_rows > rows or page_bytes > most or page[0].table != part.table):
            yield page
            page, page_rows, page_bytes = [], part.rows, part.bytes
        page.append(part)
    if page:
        yield page
