"""The agent streaming protocol over HTTP: commands by POST, events as server-sent events (wire protocol §4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import replace
from typing import Annotated, Any, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Header, Router

from runs.api.http.idempotency import IdempotencyKey, once
from runs.api.responses.errors import refusal
from runs.api.responses.following import PIECE, response
from runs.api.sessions.ordering import Delivery, delivered, delivering, end_received, note_end
from runs.api.sessions.session import Session
from runs.conf import settings
from runs.encoding import encode
from runs.events.agent_stream import AgentStream
from runs.events.agent_stream_runs import last_ends
from runs.exceptions import InvalidRequest
from runs.identity.principals import Principal
from runs.identity.requests import standing_of
from runs.protocols.agent.commands import Command, ProtocolError, failure, parse_command, success
from runs.protocols.agent.events import first_of, last_of
from runs.protocols.agent.filters import Filter, parse_event_number, parse_filter
from runs.protocols.sse import CONTENT_TYPE, HEARTBEAT, frame
from runs.requests.parsing import BODY, INVALID, parse
from threads.api.http import Request
from threads.db.database import in_database

router = Router(tags=["Agent streaming protocol"])

NOT_JSON = "Invalid JSON body"
LastEventID = Annotated[str | None, Header(None, alias="Last-Event-ID")]
ONLY_ON_SOCKETS = "Subscriptions belong to a websocket; over HTTP, POST to …/stream/events."


@router.post("/threads/{thread_id}/commands", summary="Send a protocol command")
async def send_command(request: Request, thread_id: UUID, key: IdempotencyKey) -> HttpResponse:
    """`run.start`, `input.respond`, `agent.getTree`, `state.get`, `state.listCheckpoints` or `state.fork`.

    The status is 200 with `"type": "success"` or `"type": "error"`; 400 if the body is no command.
    """
    try:
        payload = body_of(request)
    except InvalidRequest as error:
        return refusal(400, str(error))
    try:
        command = parse_command(payload)
    except ProtocolError as error:
        return _json(failure(error), status=400)
    session = Session(thread_id, cast(Principal, request.auth), once=once(request, key))
    return _json(await answer(session, command))


async def answer(session: Session, command: Command) -> dict[str, Any]:
    """The answer to a command over HTTP, where no session knows what the client has received."""
    try:
        if command.method.startswith("subscription."):
            raise ProtocolError("not_supported", ONLY_ON_SOCKETS)
        return success(command, await session.execute(command), seq=session.before)
    except ProtocolError as error:
        return failure(error, command)


@router.post("/threads/{thread_id}/stream/events", summary="Stream a thread's protocol events")
async def stream_events(
    request: Request, thread_id: UUID, last_event_id: LastEventID
) -> HttpResponse | StreamingHttpResponse:
    """Past events after `since` or `Last-Event-ID` that match the filter, then new ones.

    The thread may not exist yet: its events follow once it does. The stream ends when it is
    deleted.
    """
    try:
        params = body_of(request)
        wanted = parse_filter(params if isinstance(params, dict) else {})
        if last_event_id is not None:
            wanted = replace(wanted, since=max(wanted.since, parse_event_number(last_event_id)))
        elif not wanted.has_content and "since" not in params:
            wanted = replace(
                wanted, since=await _of_the_present_run(thread_id, cast(Principal, request.auth))
            )
    except InvalidRequest as error:
        return refusal(400, str(error))
    chunks = event_chunks(thread_id, wanted, principal=cast(Principal, request.auth))
    return response(chunks, content_type=CONTENT_TYPE, headers={}, standing=standing_of(request, thread_id))


async def _of_the_present_run(thread_id: UUID, principal: Principal) -> int:
    """The number after which the thread's present run begins, or the one that is started next.

    Clients open a stream of ends alone beside the start of a run, and Python's takes the first end that
    it receives for that of the run (docs/reference/upstream.md). If the last run has ended, this stream
    may be for it, unless its user has received its end before.
    """
    epochs, at_rest = await in_database(last_ends, thread_id, principal=principal)
    if epochs and at_rest and end_received(principal.user_id, thread_id) <= first_of(epochs[0]):
        epochs = epochs[1:]
    return last_of(epochs[0]) if epochs else 0


def body_of(request: HttpRequest) -> Any:
    """The JSON body of a request, with an Auth file's changes. Raises InvalidRequest."""
    if hasattr(request, BODY):
        return getattr(request, BODY)
    try:
        return parse(request.body, depth=settings.JSON_DEPTH)
    except InvalidRequest as error:
        detail = str(error)
        raise InvalidRequest(NOT_JSON if detail == INVALID else detail) from None


async def event_chunks(thread_id: UUID, wanted: Filter, *, principal: Principal) -> AsyncGenerator[bytes]:
    """The frames of a thread's events.

    A heartbeat follows each pause, also if other readers got events.
    """
    now = asyncio.get_running_loop().time
    stream = AgentStream(thread_id, principal=principal, since=wanted.since)
    with _delivering(thread_id, wanted, principal, owner=stream) as delivery:
        # Some servers send the response's headers with its first chunk, and clients wait for them.
        yield HEARTBEAT
        sent = now()
        async with aclosing(stream.follow()) as batches:
            async for batch in batches:
                piece = bytearray()
                for event in batch:
                    wants = wanted.matches(event)
                    held = wants and event.ends and delivery is None
                    if piece and (held or len(piece) >= PIECE):
                        yield bytes(piece)
                        piece.clear()
                        sent = now()
                    if held:
                        await delivered(principal.user_id, thread_id, event.seq, owner=stream)
                    if wants:
                        piece += frame(event.method, event.json(), str(event.seq))
                        if event.ends:
                            # Not after it was written, because clients close the stream at an end.
                            note_end(principal.user_id, thread_id, event.seq)
                if not piece and now() - sent >= settings.STREAM_HEARTBEAT:
                    piece += HEARTBEAT
                if piece:
                    yield bytes(piece)
                    sent = now()
                if delivery is not None and batch:
                    # The response asks for the next batch after it has written this one.
                    delivery.reached(batch[-1].seq)


def _delivering(
    thread_id: UUID, wanted: Filter, principal: Principal, *, owner: object
) -> AbstractContextManager[Delivery | None]:
    """Registers a connection that carries content: run ends on other connections wait for it."""
    if not wanted.has_content:
        return nullcontext()
    return delivering(principal.user_id, thread_id, since=wanted.since, owner=owner)


def _json(payload: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return HttpResponse(encode(payload), status=status, content_type="application/json")
