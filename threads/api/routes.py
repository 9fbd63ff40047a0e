"""The HTTP interface to threads."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from ninja import Query, Router
from ninja.errors import HttpError

from threads import clock, expiry
from threads.api.http import JSONBody, Request
from threads.api.schemas import ThreadCreate
from threads.api.wire import thread_json, ttl_json
from threads.database import in_database
from threads.ids import new_id
from threads.models import Thread
from threads.querysets import Principal

router = Router(tags=["Threads"])

Include = Annotated[
    list[str], Query([], description="What to show besides: `ttl`, how long the thread is kept.")
]


def find_thread(thread_id: UUID, *, principal: Principal) -> Thread:
    """The principal's thread; raises a 404 for one that does not exist or belongs to somebody else."""
    thread = Thread.objects.for_principal(principal).visible().filter(id=thread_id).first()
    if thread is None:
        raise HttpError(404, f"Thread with ID {thread_id} not found")
    return thread


@router.post("/threads", summary="Create a thread")
async def create_thread(request: Request, body: Annotated[ThreadCreate, JSONBody(...)]) -> dict[str, Any]:
    if body.supersteps is not None:
        raise HttpError(422, "supersteps is not supported yet; leave it out.")
    return thread_json(await in_database(insert_thread, body, principal=request.auth))


def insert_thread(body: ThreadCreate, *, principal: Principal) -> Thread:
    now = clock.now()
    thread = Thread(
        id=body.thread_id or new_id(),
        user_id=principal.user_id,
        metadata=body.metadata,
        created_at=now,
        updated_at=now,
        state_updated_at=now,
        **expiry.columns(body.ttl, now=now),
    )
    try:
        with transaction.atomic():
            thread.save(force_insert=True)
    except IntegrityError:
        existing = Thread.objects.for_principal(principal).visible().filter(id=thread.id).first()
        if existing is None or body.if_exists == "raise":
            raise HttpError(409, f"Thread with ID {thread.id} already exists") from None
        return existing
    return thread


@router.get("/threads/{thread_id}", summary="Get a thread")
async def get_thread(request: Request, thread_id: UUID, include: Include) -> dict[str, Any]:
    wanted = {name for text in include for name in text.split(",") if name}
    if unknown := sorted(wanted - {"ttl"}):
        raise HttpError(422, f"include: {unknown[0]!r} is not known; only 'ttl' is.")
    thread = await in_database(find_thread, thread_id, principal=request.auth)
    return thread_json(thread) | ({"ttl": ttl_json(thread)} if wanted else {})
