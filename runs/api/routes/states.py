"""The HTTP interface to threads' states, which are read and edited through the threads' graphs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from langgraph.types import StateUpdate
from ninja import Query, Router

from runs.api.responses.present_states import presently
from runs.api.schemas.states import (
    Address,
    HistoryRequest,
    MetadataPatch,
    Select,
    StateAt,
    UpdateRequest,
    before_id,
    selection,
)
from runs.encoding import encode
from runs.requests.checkpoint import checkpoint_uuid
from runs.requests.limits import check_edit
from runs.states.edits import patch_metadata, update_state
from runs.states.reads import readable_by
from threads.api.http import JSONBody, Request
from threads.api.pages import page_limit
from threads.api.routes import NAMED, find_thread
from threads.api.schemas import Limit
from threads.db.database import in_database
from threads.state.read import read_history, read_state

router = Router(tags=["Threads"])

Before = Annotated[str | None, Query(None, description="Only states older than the checkpoint with this id.")]


@router.get("/threads/{thread_id}/state", summary="Get a thread's present state")
async def get_state(
    request: Request, thread_id: UUID, select: Select, subgraphs: bool = False
) -> dict[str, Any]:
    return await _state(request, thread_id, None, select, subgraphs=subgraphs)


# Before the path with an id, which would match "checkpoint".
@router.post(
    "/threads/{thread_id}/state/checkpoint", summary="Get a thread's state at a checkpoint, by its address"
)
async def post_state_at(
    request: Request, thread_id: UUID, body: Annotated[StateAt, JSONBody(...)]
) -> dict[str, Any]:
    """Without a checkpoint's id, returns the present state of the address's namespace."""
    return await _state(
        request, thread_id, body.checkpoint.place(), body.select or (), subgraphs=body.subgraphs
    )


@router.get("/threads/{thread_id}/state/{checkpoint_id}", summary="Get a thread's state at a checkpoint")
async def get_state_at(
    request: Request, thread_id: UUID, checkpoint_id: str, select: Select, subgraphs: bool = False
) -> dict[str, Any]:
    """Returns an empty state if the thread has no such checkpoint."""
    at = {"checkpoint_ns": "", "checkpoint_id": checkpoint_uuid(checkpoint_id)}
    return await _state(request, thread_id, at, select, subgraphs=subgraphs)


async def _state(
    request: Request,
    thread_id: UUID,
    checkpoint: Mapping[str, Any] | None,
    select: Collection[str],
    *,
    subgraphs: bool,
) -> dict[str, Any]:
    chosen = selection(select)
    thread = await in_database(find_thread, thread_id, principal=request.auth, columns=NAMED)
    state = await read_state(
        thread, open_graph=readable_by(request.auth), subgraphs=subgraphs, checkpoint=checkpoint
    )
    place = checkpoint or {}
    if not place.get("checkpoint_id"):
        state = await in_database(presently, thread.id, state, root=not place.get("checkpoint_ns"))
    return chosen.of(state)


@router.post("/threads/{thread_id}/state", summary="Update a thread's state")
async def post_state(
    request: Request, thread_id: UUID, body: Annotated[UpdateRequest, JSONBody(...)]
) -> dict[str, Any]:
    """Applies the values as if a node had returned them.

    Refused while a run of the thread is pending or running.
    """
    check_edit(body.values)
    at = (body.checkpoint or Address()).place()
    if body.checkpoint_id is not None:
        at["checkpoint_id"] = str(body.checkpoint_id)
    update = StateUpdate(values=body.values, as_node=body.as_node)
    place = await update_state(thread_id, [[update]], principal=request.auth, checkpoint=at)
    return _made(place)


@router.patch("/threads/{thread_id}/state", summary="Add to the metadata of a thread's present checkpoint")
async def patch_state(
    request: Request, thread_id: UUID, body: Annotated[MetadataPatch, JSONBody(...)]
) -> dict[str, Any]:
    at = (body.checkpoint or Address()).place()
    return _made(await patch_metadata(thread_id, body.metadata, principal=request.auth, checkpoint=at))


def _made(place: dict[str, Any]) -> dict[str, Any]:
    return {"checkpoint": place, "configurable": place, "checkpoint_id": place["checkpoint_id"]}


@router.get("/threads/{thread_id}/history", summary="List a thread's past states, newest first")
async def get_history(
    request: Request, thread_id: UUID, select: Select, before: Before, limit: Limit = 10
) -> HttpResponse:
    return await _history(
        request,
        thread_id,
        HistoryRequest(limit=limit, before=before, select=list(select), metadata={}, checkpoint=None),
    )


@router.post("/threads/{thread_id}/history", summary="List a thread's past states, newest first")
async def post_history(
    request: Request, thread_id: UUID, body: Annotated[HistoryRequest, JSONBody(...)]
) -> HttpResponse:
    """Lists the states of a subgraph if `checkpoint` names its namespace."""
    return await _history(request, thread_id, body)


async def _history(request: Request, thread_id: UUID, wanted: HistoryRequest) -> HttpResponse:
    """One page of states. Pass its last checkpoint as `before` to get the next page."""
    chosen, before = selection(wanted.select or ()), before_id(wanted.before)
    thread = await in_database(find_thread, thread_id, principal=request.auth, columns=NAMED)
    states = read_history(
        thread,
        open_graph=readable_by(request.auth),
        limit=wanted.limit,
        before=before,
        metadata=wanted.metadata,
        checkpoint_ns=(wanted.checkpoint or Address()).checkpoint_ns,
    )
    pieces: list[str] = []
    size, most = 0, page_limit()
    async with aclosing(states):
        async for state in states:
            piece = encode(chosen.of(state))
            size += len(piece)
            if most and pieces and size > most:
                break
            pieces.append(piece)
    return HttpResponse(f"[{','.join(pieces)}]", content_type="application/json")
