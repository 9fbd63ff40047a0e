"""The HTTP interface to running runs: create and stream, create and wait, join, and reconnect."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated
from uuid import UUID

from django.http import StreamingHttpResponse
from ninja import Header, Query, Router

from runs.api.http.idempotency import IdempotencyKey, once
from runs.api.responses.creation import admit
from runs.api.responses.following import (
    cancel_left,
    event_stream,
    response,
    result_not_found,
    run_not_found,
    waited_result,
)
from runs.api.responses.locations import contents, locations
from runs.api.routes.runs import find_run
from runs.exceptions import NotFound
from runs.identity.auth_file import configured
from runs.identity.requests import canceller_of, standing_of
from runs.models import Run
from runs.protocols.sse import CONTENT_TYPE, START, Projection, listed_values, narrowed, parse_last_event_id
from runs.requests.bodies import RunBody, RunCreate
from threads.api.http import Request
from threads.db.database import in_database

router = Router(tags=["Runs"])
stateless = Router(tags=["Stateless runs"])

LastEventID = Annotated[str | None, Header(None, alias="Last-Event-ID")]
Modes = Annotated[
    list[str], Query([], description="Only these of the run's modes: repeated, comma-separated, or JSON.")
]


def _left(request: Request, run: Run, *, cancel: bool) -> Callable[[], None] | None:
    """The callback for a client that disconnects before the end."""
    return partial(cancel_left, run.id, principal=canceller_of(request)) if cancel else None


# --- create and follow


@router.post("/threads/{thread_id}/runs/stream", summary="Create a run and stream its events")
async def create_and_stream(
    request: Request, thread_id: UUID, body: RunBody, key: IdempotencyKey
) -> StreamingHttpResponse:
    return await _create_and_stream(request, body, key, thread_id=thread_id)


@stateless.post("/runs/stream", summary="Create a run on a thread of its own and stream its events")
async def create_and_stream_stateless(
    request: Request, body: RunBody, key: IdempotencyKey
) -> StreamingHttpResponse:
    return await _create_and_stream(request, body, key, thread_id=None)


@router.post("/threads/{thread_id}/runs/wait", summary="Create a run and wait for its result")
async def create_and_wait(
    request: Request, thread_id: UUID, body: RunBody, key: IdempotencyKey
) -> StreamingHttpResponse:
    return await _create_and_wait(request, body, key, thread_id=thread_id)


@stateless.post("/runs/wait", summary="Create a run on a thread of its own and wait for its result")
async def create_and_wait_stateless(
    request: Request, body: RunBody, key: IdempotencyKey
) -> StreamingHttpResponse:
    return await _create_and_wait(request, body, key, thread_id=None)


async def _create_and_stream(
    request: Request, body: RunCreate, key: str | None, *, thread_id: UUID | None
) -> StreamingHttpResponse:
    run = await admit(
        body, thread_id=thread_id, principal=request.auth, attended=True, once=once(request, key)
    )
    return event_stream(
        run.id,
        START,
        Projection(body.stream_mode, subgraphs=body.stream_subgraphs),
        headers=locations(request, run.id, thread_id, "stream"),
        standing=standing_of(request),
        left=_left(request, run, cancel=body.on_disconnect == "cancel"),
    )


async def _create_and_wait(
    request: Request, body: RunCreate, key: str | None, *, thread_id: UUID | None
) -> StreamingHttpResponse:
    run = await admit(
        body, thread_id=thread_id, principal=request.auth, attended=True, once=once(request, key)
    )
    # The client reconnects with the run's thread, even if it did not name one.
    headers = locations(request, run.id, run.thread_id, "join") | contents(request, run.id, thread_id)
    left = _left(request, run, cancel=body.on_disconnect == "cancel")
    return waited_result(run.id, headers=headers, standing=standing_of(request), left=left)


# --- reconnect


@router.get("/threads/{thread_id}/runs/{run_id}/stream", summary="Stream a run's events")
async def join_stream(
    request: Request,
    thread_id: UUID,
    run_id: UUID,
    last_event_id: LastEventID,
    stream_mode: Modes,
    cancel_on_disconnect: bool = False,
) -> StreamingHttpResponse:
    """Continues after `Last-Event-ID`; `-1` replays from the start.

    Without the header, only new events are sent.
    """
    return await _join_stream(
        request, run_id, thread_id, last_event_id, stream_mode, cancel=cancel_on_disconnect
    )


@stateless.get("/runs/{run_id}/stream", summary="Stream a run's events, without naming its thread")
async def join_stream_stateless(
    request: Request,
    run_id: UUID,
    last_event_id: LastEventID,
    stream_mode: Modes,
    cancel_on_disconnect: bool = False,
) -> StreamingHttpResponse:
    return await _join_stream(request, run_id, None, last_event_id, stream_mode, cancel=cancel_on_disconnect)


@router.get("/threads/{thread_id}/runs/{run_id}/join", summary="Wait for a run's result")
async def join(
    request: Request, thread_id: UUID, run_id: UUID, cancel_on_disconnect: bool = False
) -> StreamingHttpResponse:
    return await _join(request, run_id, thread_id, cancel=cancel_on_disconnect)


@stateless.get("/runs/{run_id}/join", summary="Wait for a run's result, without naming its thread")
async def join_stateless(
    request: Request, run_id: UUID, cancel_on_disconnect: bool = False
) -> StreamingHttpResponse:
    return await _join(request, run_id, None, cancel=cancel_on_disconnect)


async def _join_stream(
    request: Request,
    run_id: UUID,
    thread_id: UUID | None,
    last_event_id: str | None,
    stream_mode: list[str],
    *,
    cancel: bool,
) -> StreamingHttpResponse:
    headers = locations(request, run_id, thread_id, "stream")
    run = await in_database(
        find_run, run_id, thread_id=thread_id, principal=request.auth, columns=["id", "thread", "kwargs"]
    )
    if run is None:
        return response(run_not_found(), content_type=CONTENT_TYPE, headers=headers, standing=None)
    modes = narrowed(run.kwargs.get("stream_mode", []), listed_values(stream_mode))
    return event_stream(
        run.id,
        parse_last_event_id(last_event_id),
        Projection(modes, subgraphs=bool(run.kwargs.get("subgraphs"))),
        headers=headers,
        standing=standing_of(request, run.thread_id),
        left=_left(request, run, cancel=cancel),
    )


async def _join(
    request: Request, run_id: UUID, thread_id: UUID | None, *, cancel: bool
) -> StreamingHttpResponse:
    headers = locations(request, run_id, thread_id, "join")
    run = await in_database(
        find_run, run_id, thread_id=thread_id, principal=request.auth, columns=["id", "thread"]
    )
    if run is None:
        if configured.current() is not None:
            # Like the reference server, which answers 404 if a handler's filter hides the run.
            raise NotFound("Run not found")
        return response(result_not_found(), content_type="application/json", headers=headers, standing=None)
    standing = standing_of(request, run.thread_id)
    return waited_result(run.id, headers=headers, standing=standing, left=_left(request, run, cancel=cancel))
