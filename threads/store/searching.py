"""Searches: pages of rows from the database, filtered and ranked here; memory holds one page.

A page is one short call on a database thread, so that a large search delays no other caller. A
search may miss an item that is put meanwhile.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator
from itertools import islice
from typing import NamedTuple

from langgraph.store.base import SearchItem, SearchOp

from threads.db.database import in_database
from threads.db.executors import in_thread
from threads.db.values.sizes import fitting
from threads.db.values.text import is_text
from threads.models.querysets import Principal
from threads.store import filters, items
from threads.store.embedding import Index
from threads.store.filters import Condition
from threads.store.items import Embedded, Found
from threads.store.vectors import score


class Ranked(NamedTuple):
    """An item's place in a ranking: best score first, then no score.

    The newest first among equals.
    """

    scored: bool
    score: float
    updated_at: object
    id: int


def check_bounds(limit: int, offset: int) -> None:
    """Raise ValueError if the page is invalid."""
    if limit < 0 or offset < 0:
        raise ValueError("Neither limit nor offset may be negative.")


def check_search(op: SearchOp) -> None:
    """Raise ValueError if the search is invalid."""
    filters.condition(op.filter)
    check_bounds(op.limit, op.offset)


async def search(
    principal: Principal, op: SearchOp, index: Index | None, *, most: int = 0
) -> tuple[list[SearchItem], bool]:
    """Matching items, nearest to the query first; and whether there may be more.

    Without query or embedding, most recently put first.

    Args:
        most: The most bytes of what is found, which is at least one item; 0 for no limit.
    """
    if not all(map(is_text, op.namespace_prefix)) or op.limit == 0:
        return [], False
    scores: dict[int, float | None] = {}
    if op.query and index is not None:
        ranked = await _ranked(principal, op, await index.query(op.query), index)
        scores = dict(islice(ranked.items(), op.limit))
        found = await in_database(items.by_ids, principal, list(scores), most=most)
        more = len(ranked) > len(found)
    elif op.filter:
        found, more = await _filtered(principal, op, most)
    else:
        found, more = await in_database(
            items.newest, principal, op.namespace_prefix, [], offset=op.offset, limit=op.limit, most=most
        )
    if op.refresh_ttl and any(row.ttl_minutes is not None for row in found):
        await in_database(items.refresh, principal, found)
    return [SearchItem(**row.item(), score=scores.get(row.id)) for row in found], more


async def _filtered(principal: Principal, op: SearchOp, most: int) -> tuple[list[Found], bool]:
    """The newest matching items; reads no more pages than needed."""
    fragments, holds = list(filters.fragments(op.filter)), filters.condition(op.filter)
    matching: list[Found] = []
    bounds = {"limit": items.PAGE, "most": items.PAGE_BYTES}
    skipped, more, page = 0, True, list[Found]()
    while more and len(matching) < op.limit:
        after = page[-1] if page else None
        page, more = await in_database(
            items.newest, principal, op.namespace_prefix, fragments, after=after, **bounds
        )
        # A page has megabytes, which the event loop does not compare.
        found = await in_thread(_matching, page, holds)
        passed = min(op.offset - skipped, len(found))
        skipped += passed
        matching += found[passed:]
        fits = fitting([row.size for row in matching[: op.limit]], most)
        if fits < len(matching):
            return matching[:fits], True
    return matching, more


def _matching(page: list[Found], holds: Condition) -> list[Found]:
    return [row for row in page if holds(row.value)]


async def _ranked(
    principal: Principal, op: SearchOp, query: tuple[float, ...], index: Index
) -> dict[int, float | None]:
    """The ids of a page of the ranking and of the next item, in its order, with their scores."""
    best: list[Ranked] = []
    holds = filters.condition(op.filter)
    async for page in _pages(principal, op):
        # Among many items this takes seconds of arithmetic, which would block the event loop.
        best = await in_thread(_best, best, page, op, query, index.name, holds)
    return {each.id: each.score if each.scored else None for each in islice(best, op.offset, None)}


async def _pages(principal: Principal, op: SearchOp) -> AsyncIterator[list[Embedded]]:
    fragments = list(filters.fragments(op.filter))
    more, page = True, list[Embedded]()
    while more:
        after = page[-1] if page else None
        page, more = await in_database(
            items.embedded, principal, op.namespace_prefix, fragments, after=after, values=bool(op.filter)
        )
        yield page


def _best(
    best: list[Ranked],
    page: list[Embedded],
    op: SearchOp,
    query: tuple[float, ...],
    embedding: str,
    holds: Condition,
) -> list[Ranked]:
    """The best of the previous best and of a page."""
    candidates = (_rank(row, query, embedding) for row in page if holds(row.value or {}))
    return heapq.nlargest(op.offset + op.limit + 1, [*best, *candidates])


def _rank(row: Embedded, query: tuple[float, ...], embedding: str) -> Ranked:
    similarity = score(query, row.vectors) if row.embedding == embedding else None
    return Ranked(similarity is not None, similarity or 0.0, row.updated_at, row.id)
