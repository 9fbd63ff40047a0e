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
from threads.models.querysets import Principal
from threads.store import filters, items
from threads.store.embedding import Index
from threads.store.items import PAGE, Embedded, Found
from threads.store.namespaces import is_text
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
    filters.check(op.filter)
    check_bounds(op.limit, op.offset)


async def search(principal: Principal, op: SearchOp, index: Index | None) -> list[SearchItem]:
    """Matching items, nearest to the query first.

    Without query or embedding, most recently put first.
    """
    if not all(map(is_text, op.namespace_prefix)) or op.limit == 0:
        return []
    scores: dict[int, float | None] = {}
    if op.query and index is not None:
        scores = await _ranked(principal, op, await index.query(op.query), index)
        found = await in_database(items.by_ids, principal, list(scores))
    elif op.filter:
        found = await _filtered(principal, op)
    else:
        rows = slice(op.offset, op.offset + op.limit)
        found = await in_database(items.newest, principal, op.namespace_prefix, [], rows=rows)
    if op.refresh_ttl and any(row.ttl_minutes is not None for row in found):
        await in_database(items.refresh, principal, found)
    return [SearchItem(**row.item(), score=scores.get(row.id)) for row in found]


async def _filtered(principal: Principal, op: SearchOp) -> list[Found]:
    """The newest matching items; reads no more pages than needed."""
    fragments = list(filters.fragments(op.filter))
    matching: list[Found] = []
    skipped, page = 0, list[Found]()
    while len(matching) < op.limit:
        after = page[-1] if page else None
        page = await in_database(items.newest, principal, op.namespace_prefix, fragments, after=after)
        for row in page:
            if filters.matches(row.value, op.filter):
                if skipped < op.offset:
                    skipped += 1
                else:
                    matching.append(row)
        if len(page) < PAGE:
            break
    return matching[: op.limit]


async def _ranked(
    principal: Principal, op: SearchOp, query: tuple[float, ...], index: Index
) -> dict[int, float | None]:
    """The ids of a page of the ranking, in its order, with their scores."""
    best: list[Ranked] = []
    async for page in _pages(principal, op):
        # Among many items this takes seconds of arithmetic, which would block the event loop.
        best = await in_thread(_best, best, page, op, query, index.name)
    return {each.id: each.score if each.scored else None for each in islice(best, op.offset, None)}


async def _pages(principal: Principal, op: SearchOp) -> AsyncIterator[list[Embedded]]:
    fragments = list(filters.fragments(op.filter))
    page: list[Embedded] = []
    while True:
        after = page[-1] if page else None
        page = await in_database(
            items.embedded, principal, op.namespace_prefix, fragments, after=after, values=bool(op.filter)
        )
        yield page
        if len(page) < PAGE:
            return


def _best(
    best: list[Ranked], page: list[Embedded], op: SearchOp, query: tuple[float, ...], embedding: str
) -> list[Ranked]:
    """The best of the previous best and of a page."""
    candidates = (_rank(row, query, embedding) for row in page if filters.matches(row.value or {}, op.filter))
    return heapq.nlargest(op.offset + op.limit, [*best, *candidates])


def _rank(row: Embedded, query: tuple[float, ...], embedding: str) -> Ranked:
    similarity = score(query, row.vectors) if row.embedding == embedding else None
    return Ranked(similarity is not None, similarity or 0.0, row.updated_at, row.id)
