"""Searching threads: the requested page, in one query."""

from __future__ import annotations

from typing import Any

from threads.api.extraction import extract, parse_path
from threads.api.pages import page_headers, rows_of_page
from threads.api.schemas import ThreadFilter, ThreadSearch
from threads.api.wire import thread_columns, thread_json
from threads.db.conditions import containing, text_containing
from threads.filters import shares
from threads.models import Thread
from threads.models.querysets import Principal, ThreadQuerySet
from threads.texts.matching import found_in, saying

#: Columns that graphs and clients fill.
LARGE = ("values", "interrupts", "config", "error")


def matching(wanted: ThreadFilter, *, principal: Principal) -> ThreadQuerySet:
    """The principal's threads that match all conditions."""
    threads = Thread.objects.for_principal(principal).visible()
    if wanted.status is not None:
        threads = threads.filter(status=wanted.status)
    if wanted.metadata:
        threads = threads.filter(containing("metadata", wanted.metadata))
    if wanted.values:
        threads = threads.filter(text_containing("values", wanted.values))
    if wanted.text.strip():
        user_id = None if shares(principal, "threads") else principal.user_id
        threads = threads.filter(saying(wanted.text, user_id=user_id))
    return threads


def page(search: ThreadSearch, *, principal: Principal) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The threads of a page as clients see them, and its pagination headers."""
    threads = matching(search, principal=principal)
    if search.ids is not None:
        threads = threads.filter(id__in=search.ids)
    column = "id" if search.sort_by == "thread_id" else search.sort_by
    sign = "-" if search.sort_order == "desc" else ""
    order = [sign + column] if column == "id" else [sign + column, sign + "id"]
    paths = {alias: parse_path(path) for alias, path in search.extract.items()}
    columns = {*thread_columns(search.select), *(root for root, _ in paths.values())}
    found, more = rows_of_page(
        threads.order_by(*order), offset=search.offset, limit=search.limit, large=LARGE, columns=columns
    )
    headers = page_headers(offset=search.offset, shown=len(found), more=more)
    shown = [thread_json(thread, search.select) for thread in found]
    if paths:
        for thread, fields in zip(found, shown, strict=True):
            fields["extracted"] = {
                alias: extract(_shown(thread, root), steps) for alias, (root, steps) in paths.items()
            }
    if search.text.strip():
        _add_findings(found, shown, search.text)
    return shown, headers


def _add_findings(found: list[Thread], shown: list[dict[str, Any]], text: str) -> None:
    by_id = {thread.id: fields for thread, fields in zip(found, shown, strict=True)}
    for thread_id, title, snippet in found_in(list(by_id), text):
        by_id[thread_id]["found"] = {"title": title, "snippet": snippet}


def _shown(thread: Thread, root: str) -> Any:
    """A field as clients see it, for the extraction of single values."""
    return thread_json(thread, [root]).get(root)


def count(wanted: ThreadFilter, *, principal: Principal) -> int:
    return matching(wanted, principal=principal).count()
