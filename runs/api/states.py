"""The HTTP interface to threads' states, which are read through the threads' graphs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ninja import Router

from runs import graphs, runtime
from threads.api.http import Request
from threads.api.routes import find_thread
from threads.database import in_database
from threads.state import read_state

router = Router(tags=["Threads"])


@router.get("/threads/{thread_id}/state", summary="Get a thread's present state")
async def get_state(request: Request, thread_id: UUID, subgraphs: bool = False) -> dict[str, Any]:
    thread = await in_database(find_thread, thread_id, principal=request.auth)
    return await read_state(
        thread,
        open_graph=graphs.open_graph,
        saver=runtime.current().storage.reader(),
        subgraphs=subgraphs,
    )
