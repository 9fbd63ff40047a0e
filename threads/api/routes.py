"""The HTTP interface to threads."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from ninja import Router
from ninja.errors import HttpError

from threads.api.http import JSONBody, Request
from threads.api.schemas import ThreadCreate
from threads.api.wire import thread_json
from threads.database import in_database
from threads.ids import new_id
from threads.models import Thread
from threads.querysets import Principal

router = Router(tags=["Threads"])


def find_thread(thread_id: UUID, *, principal: Principal) -> Thread:
    """The principal's thread; raises a 404 for one that does not exist or belongs to somebody else."""
    thread = Thread.objects.for_principal(principal).visible().filter(id=thread_id).first()
    if thread is None:
        raise HttpError(404, f"Thread with ID {thread_id} not found")
    return thread


@router.post("/threads", summary="Create a thread")
async def create_thread(request: Request, body: Annotated[ThreadCreate, JSONBody(...)]) -> dict[str, Any]:
    for name in ("ttl", "supersteps"):
        if getattr(body, name) is not None:
            raise HttpError(422, f"{name} is not supported yet; leave it out.")
    return thread_json(await in_database(insert_thread, body, principal=request.auth))


def insert_thread(body: ThreadCreate, *, principal: Principal) -> Thread:
    now = timezone.now()
    thread = Thread(
        id=body.thread_id or new_id(),
        user_id=principal.user_id,
        metadata=body.metadata,
        created_at=now,
        updated_at=now,
        state_updated_at=now,
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
async def get_thread(request: Request, thread_id: UUID) -> dict[str, Any]:
    return thread_json(await in_database(find_thread, thread_id, principal=request.auth))
