"""The HTTP interface to threads themselves: read, change, find and count them.

Routes about their runs and state are in `runs.api.routes.threads` and `runs.api.routes.states`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any
from uuid import UUID

import orjson
from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from ninja import Header, Query, Router
from ninja.errors import HttpError

from threads import expiry
from threads.api import searching
from threads.api.http import JSONBody, Request
from threads.api.schemas import ThreadCreate, ThreadFilter, ThreadPatch, ThreadSearch
from threads.api.wire import thread_json, ttl_json
from threads.db import clock, statements
from threads.db.database import in_database
from threads.db.ids import new_id
from threads.metadata import ensure_small
from threads.models import Thread
from threads.models.querysets import Principal
from threads.texts.writing import write_of

#: Routes with a thread's id in their paths, and those without. Those without come first: else `search` would
#: match as an id. `runs.api.routes.threads` adds its routes to them, because all methods of a path must be in
#: one router.
router = Router(tags=["Threads"])
collection = Router(tags=["Threads"])

Include = Annotated[
    list[str], Query([], description="Additional fields: `ttl`, how long the thread is kept.")
]


#: The columns needed to identify a thread and to open its graph; its values may be large.
NAMED = ("id", "user_id", "metadata")
#: The default of `RUNS["EDIT_LIMIT"]`.
EDIT_LIMIT = 1024 * 1024


def find_thread(thread_id: UUID, *, principal: Principal, columns: Collection[str] = ()) -> Thread:
    """The principal's thread; raises a 404 if it does not exist or belongs to another user.

    Args:
        columns: The columns to read; all if empty.
    """
    owned = Thread.objects.for_principal(principal).visible()
    thread = owned.only(*columns).filter(id=thread_id).first()
    if thread is None:
        raise HttpError(404, f"Thread with ID {thread_id} not found")
    return thread


def new_thread(body: ThreadCreate, *, principal: Principal) -> Thread:
    """The unsaved thread that a body describes. Raises MetadataTooLarge."""
    _check_size(body.metadata)
    now = clock.now()
    return Thread(
        id=body.thread_id or new_id(),
        user_id=principal.user_id,
        metadata=body.metadata,
        created_at=now,
        updated_at=now,
        state_updated_at=now,
        **expiry.columns(body.ttl, now=now),
    )


def _check_size(metadata: dict[str, Any]) -> None:
    ensure_small(metadata, getattr(django_settings, "RUNS", {}).get("EDIT_LIMIT", EDIT_LIMIT))


def insert_thread(
    thread: Thread, *, principal: Principal, if_exists: str, along: Callable[[], None] | None = None
) -> tuple[Thread, bool]:
    """Insert a thread; return it, or the existing one with its id, and whether it is new.

    Args:
        along: Called in the same transaction for further writes.
    """
    try:
        if along is None and "title" not in thread.metadata:
            statements.insert(thread)
        else:
            with transaction.atomic():
                statements.insert(thread)
                write_of([thread])
                if along is not None:
                    along()
    except IntegrityError:
        existing = Thread.objects.for_principal(principal).visible().filter(id=thread.id).first()
        if existing is None or if_exists == "raise":
            raise HttpError(409, f"Thread with ID {thread.id} already exists") from None
        return existing, False
    return thread, True


@collection.post("/threads/search", summary="Find threads")
async def search_threads(request: Request, body: Annotated[ThreadSearch, JSONBody(...)]) -> HttpResponse:
    """`X-Pagination-Next` is the next page's offset, if there is one."""
    shown, headers = await in_database(searching.page, body, principal=request.auth)
    return HttpResponse(orjson.dumps(shown), content_type="application/json", headers=headers)


@collection.post("/threads/count", summary="Count threads")
async def count_threads(request: Request, body: Annotated[ThreadFilter, JSONBody(...)]) -> int:
    return await in_database(searching.count, body, principal=request.auth)


@router.get("/threads/{thread_id}", summary="Get a thread")
async def get_thread(request: Request, thread_id: UUID, include: Include) -> dict[str, Any]:
    wanted = {name for text in include for name in text.split(",") if name}
    if unknown := sorted(wanted - {"ttl"}):
        raise HttpError(422, f"include: {unknown[0]!r} is not known; only 'ttl' is.")
    thread = await in_database(find_thread, thread_id, principal=request.auth)
    return thread_json(thread) | ({"ttl": ttl_json(thread)} if wanted else {})


@router.patch("/threads/{thread_id}", summary="Change a thread", response={200: dict, 204: None})
async def patch_thread(
    request: Request,
    thread_id: UUID,
    body: Annotated[ThreadPatch, JSONBody(...)],
    prefer: Annotated[str | None, Header(None, alias="Prefer")],
) -> Any:
    """With `Prefer: return=minimal`, answer without the thread."""
    thread = await in_database(change_thread, thread_id, body, principal=request.auth)
    if "return=minimal" in (prefer or "").replace(" ", "").lower():
        return HttpResponse(status=204)
    return thread_json(thread)


def change_thread(thread_id: UUID, body: ThreadPatch, *, principal: Principal) -> Thread:
    """Merge into a thread's metadata, and change its time to live. Raises MetadataTooLarge."""
    with transaction.atomic():
        owned = Thread.objects.for_principal(principal).visible()
        thread = owned.locked().filter(id=thread_id).first()
        if thread is None:
            raise HttpError(404, "Not Found")
        now = clock.now()
        changes: dict[str, Any] = {"updated_at": now, **expiry.extended(thread, now=now)}
        if body.metadata:
            changes["metadata"] = {**thread.metadata, **body.metadata}
            _check_size(changes["metadata"])
        if body.ttl is not None:
            changes |= expiry.columns(body.ttl, now=now)
        for name, value in changes.items():
            setattr(thread, name, value)
        thread.save(update_fields=list(changes))
        if {"title", "renamed"} & body.metadata.keys():
            write_of([thread])
    return thread
