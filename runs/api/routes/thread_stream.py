"""The HTTP interface to a thread's stream: the events of all its runs (wire protocol §3.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

import orjson
from django.http import StreamingHttpResponse
from ninja import Header, Query, Router

from runs.api.responses.following import PIECE, prime, response
from runs.conf import settings
from runs.encoding import encode
from runs.events.table import Position
from runs.events.thread_log import RUN_DONE, STATE_EDITED, Entry, follow_thread
from runs.exceptions import InvalidRequest, LogRemoved
from runs.identity.requests import standing_of
from runs.models import Run
from runs.process.current import current
from runs.protocols.errors import told
from runs.protocols.sse import (
    CONTENT_TYPE,
    HEARTBEAT,
    Projection,
    frame,
    is_event_id,
    listed_values,
    parse_last_event_id,
)
from runs.states.reads import readable_by
from threads.api.http import Request
from threads.api.routes import NAMED, find_thread
from threads.db.database import in_database
from threads.models import Thread
from threads.state.read import Graphs, read_state

router = Router(tags=["Threads"])

RUN_MODES, LIFECYCLE, STATE_UPDATE = MODES = ("run_modes", "lifecycle", "state_update")
LastEventID = Annotated[str | None, Header(None, alias="Last-Event-ID")]
Modes = Annotated[list[str], Query([], description=f"Some of {', '.join(MODES)}; the first is the default.")]


@router.get("/threads/{thread_id}/stream", summary="Stream a thread's events")
async def stream_thread(
    request: Request, thread_id: UUID, last_event_id: LastEventID, stream_modes: Modes, stream_mode: Modes
) -> StreamingHttpResponse:
    """Never ends.

    Continues after `Last-Event-ID`; `-` replays from the start. Without it, only new events are
    sent.
    """
    modes = listed_values([*stream_modes, *stream_mode]) or [RUN_MODES]
    if unknown := [mode for mode in modes if mode not in MODES]:
        raise InvalidRequest(f"Invalid stream mode: {unknown[0]}")
    if last_event_id is not None and not is_event_id(last_event_id):
        raise InvalidRequest(
            "Invalid last-event-id: it must be the id of one of the thread's events, or `-`."
        )
    thread = await in_database(find_thread, thread_id, principal=request.auth, columns=NAMED)
    chunks = thread_chunks(
        thread, parse_last_event_id(last_event_id), modes, open_graph=readable_by(request.auth)
    )
    return response(chunks, content_type=CONTENT_TYPE, headers={}, standing=standing_of(request, thread_id))


async def thread_chunks(
    thread: Thread, after: Position | None, modes: Sequence[str], *, open_graph: Graphs
) -> AsyncGenerator[bytes]:
    """The frames of a thread's entries.

    A heartbeat follows each pause, also if other readers got entries.
    """
    now = asyncio.get_running_loop().time
    sent, reader = now(), ThreadReader(thread, modes, open_graph)
    # Tells the client that it is connected before the first event.
    yield HEARTBEAT
    async with aclosing(follow_thread(thread.id, after)) as batches:
        async for batch in batches:
            piece = bytearray()
            for entry in batch:
                piece += await reader.frames(entry)
                if len(piece) >= PIECE:
                    yield bytes(piece)
                    piece.clear()
                    sent = now()
            if not piece and now() - sent >= settings.STREAM_HEARTBEAT:
                piece += HEARTBEAT
            if piece:
                yield bytes(piece)
                sent = now()


class ThreadReader:
    """One reader's view of a thread: each run's events in the modes that its creator asked for.

    Args:
        open_graph: Opens the thread's graph.
    """

    def __init__(self, thread: Thread, modes: Sequence[str], open_graph: Graphs) -> None:
        self._thread = thread
        self._open_graph = open_graph
        self._modes = frozenset(modes)
        self._run_id: UUID | None = None
        self._projection: Projection | None = Projection((), subgraphs=False)

    async def frames(self, entry: Entry) -> bytes:
        name, event = entry.event.name, entry.event
        if entry.run_id is None:
            wanted = STATE_UPDATE in self._modes and name == STATE_EDITED
            return await self._state_update(entry) if wanted else b""
        if not self._modes & {RUN_MODES, LIFECYCLE}:
            return b""
        if name == RUN_DONE:
            done = {"status": RUN_DONE, "run_id": str(entry.run_id)}
            return frame("metadata", encode(done), event.id)
        if RUN_MODES not in self._modes:
            return frame(name, event.data, event.id) if name == "metadata" else b""
        if entry.run_id != self._run_id:
            try:
                await self._begin(entry)
            except LogRemoved as error:
                # What follows depends on events that cannot be read any more.
                self._projection = None
                return frame("error", encode(told(error)), event.id)
        return self._projection.frames(event) if self._projection is not None else b""

    async def _begin(self, entry: Entry) -> None:
        """Start the projection of a run with its creator's modes, from the reader's position. Raises
        LogRemoved.
        """
        assert entry.run_id is not None
        kwargs = await current().hub.read(_kwargs, entry.run_id)
        self._run_id = entry.run_id
        self._projection = Projection(kwargs.get("stream_mode", []), subgraphs=bool(kwargs.get("subgraphs")))
        if self._projection.cumulative and entry.event.name != "metadata":
            await prime(self._projection, entry.run_id, before=entry.position)

    async def _state_update(self, entry: Entry) -> bytes:
        made = orjson.loads(entry.event.data)
        state = await read_state(self._thread, open_graph=self._open_graph, checkpoint=made)
        if state["created_at"] is None:
            return b""
        shown = {"state": state, "thread_id": str(self._thread.id)}
        return frame(STATE_UPDATE, encode(shown), entry.event.id)


def _kwargs(run_id: UUID) -> dict[str, Any]:
    return Run.objects.filter(id=run_id).values_list("kwargs", flat=True).first() or {}
