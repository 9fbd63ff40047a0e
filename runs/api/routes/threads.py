"""The HTTP interface to threads, where it concerns their runs or checkpoints.

The routes belong to the routers of `threads.api.routes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from langgraph.types import StateUpdate

from runs.api.http.idempotency import IdempotencyKey, once
from runs.conf import settings
from runs.exceptions import NotFound
from runs.execution.resume import to_command
from runs.identity.auth_file.named import ask_about_copy, ask_about_thread
from runs.requests.command import check_targets, sanitised_command, values_in
from runs.requests.idempotency import Once
from runs.requests.limits import check_edit
from runs.retention.thread_deletion import delete_threads, shorten_threads
from runs.states.copies import copy_thread
from runs.states.edits import begin
from threads.api.http import JSONBody, Request
from threads.api.routes import NAMED, collection, find_thread, insert_thread, new_thread, router
from threads.api.schemas import StateUpdate as UpdateBody
from threads.api.schemas import ThreadCreate, ThreadPrune
from threads.api.wire import thread_json
from threads.checkpoints.sizes import measure
from threads.db.database import in_database
from threads.models import Thread
from threads.models.querysets import Principal

__all__ = ["collection", "router"]


@collection.post("/threads", summary="Create a thread")
async def create_thread(
    request: Request, body: Annotated[ThreadCreate, JSONBody(...)], key: IdempotencyKey
) -> dict[str, Any]:
    """`supersteps` give the thread an initial state."""
    wanted, mine = once(request, key), Thread.objects.for_principal(request.auth).visible()
    if wanted is not None and (found := await in_database(wanted.found, mine)):
        return thread_json(found[0])
    thread = new_thread(body, principal=request.auth)
    options: dict[str, Any] = {"principal": request.auth, "if_exists": body.if_exists, "once": wanted}
    if body.supersteps:
        _check(body)
        steps = [[_update(each) for each in step.updates] for step in body.supersteps]
        options["along"] = await begin(thread, steps, principal=request.auth)
    made, new = await in_database(_insert, thread, **options)
    if new and not body.supersteps:
        return thread_json(made)
    # Showing a thread that exists already is reading it.
    principal = request.auth if new else await ask_about_thread(request.auth, made.id)
    return thread_json(await in_database(find_thread, made.id, principal=principal))


def _insert(
    thread: Thread,
    *,
    principal: Principal,
    if_exists: str,
    once: Once | None,
    along: Callable[[], None] | None = None,
) -> tuple[Thread, bool]:
    """Insert a thread, with its client's key if there is one. Returns and raises like `insert_thread`;
    a repeated request's thread counts as new.
    """
    if once is None:
        return insert_thread(thread, principal=principal, if_exists=if_exists, along=along)
    with transaction.atomic():
        if found := once.taken(Thread.objects.for_principal(principal).visible()):
            return found[0], True
        # With further writes the insertion has a savepoint, which an existing thread rolls back.
        further = along or (lambda: None)
        made, new = insert_thread(thread, principal=principal, if_exists=if_exists, along=further)
        once.record([made.id])
    return made, new


def _check(body: ThreadCreate) -> None:
    """Raise InvalidRequest if the supersteps have too much together."""
    updates = [each for step in body.supersteps for each in step.updates]
    commands = [each.command for each in updates if each.command]
    check_targets(*commands)
    check_edit(*(each.values for each in updates), *(each for one in commands for each in values_in(one)))


def _update(body: UpdateBody) -> StateUpdate:
    command = sanitised_command(body.command)
    values: Any = to_command(command) if command is not None else body.values
    return StateUpdate(values=values, as_node=body.as_node)


@router.delete("/threads/{thread_id}", summary="Delete a thread", response={204: None})
async def delete_thread(request: Request, thread_id: UUID) -> HttpResponse:
    """Also deletes its runs, including those in flight, and its state."""
    if not await delete_threads([thread_id], principal=request.auth):
        raise NotFound(f"Thread with ID {thread_id} not found")
    return HttpResponse(status=204)


@collection.post("/threads/prune", summary="Delete threads, or their past states")
async def prune_threads(request: Request, body: Annotated[ThreadPrune, JSONBody(...)]) -> dict[str, int]:
    """Unknown ids are ignored. `keep_latest` skips threads with a run in flight.

    What takes longer than ten seconds is finished in the background. `keep_latest` does not count a thread for
    which there was no time and that has a time to live of the strategy `delete`; ask again for it.
    """
    remove = delete_threads if body.strategy == "delete" else shorten_threads
    return {"pruned_count": len(await remove(body.thread_ids, principal=request.auth))}


@router.post("/threads/{thread_id}/copy", summary="Copy a thread")
async def copy(request: Request, thread_id: UUID, key: IdempotencyKey) -> dict[str, Any]:
    """Copies its metadata and all its checkpoints, but not its runs."""
    metadata = await ask_about_copy(request.auth)
    wanted = once(request, key)
    return thread_json(await copy_thread(thread_id, metadata=metadata, principal=request.auth, once=wanted))


@router.get("/threads/{thread_id}/storage", summary="Get the stored size of a thread's state")
async def storage(request: Request, thread_id: UUID) -> dict[str, Any]:
    """In bytes, as encoded. On SQLite the channels' values are part of the checkpoints."""
    await in_database(find_thread, thread_id, principal=request.auth, columns=NAMED)
    return {
        "thread_id": str(thread_id),
        **await in_database(measure, thread_id, file=settings.CHECKPOINTS_FILE),
    }
