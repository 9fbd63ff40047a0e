"""The headers of a list that comes in pages (wire protocol §5)."""

from __future__ import annotations


def page_headers(*, offset: int, limit: int, found: int) -> dict[str, str]:
    """`X-Pagination-Total` counts up to this page's end, and one more if there is a page after it.

    Args:
        found: How many there are from the offset on, counted up to one more than the page has.
    """
    headers = {"X-Pagination-Total": str(offset + found)}
    if found > limit:
        headers["X-Pagination-Next"] = str(offset + limit)
    return headers
