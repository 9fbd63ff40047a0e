"""The HTTP interface to threads' states, which are read through the threads' graphs."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from ninja import Router

from runs import graphs, runtime
from runs.graphs.runtimes import read_runtime
from threads.api.http import Request
from threads.api.routes import find_thread
from threads.database import in_database
from threads.state import read_state

router = Router(tags=["Threads"])


@router.get("/threads/{thread_id}/state", summary="Get a thread's present state")
async def get_state(request: Request, thread_id: UUID, subgraphs: bool = False) -> dict[str, Any]:
    thread = await in_database(find_thread, thread_id, principal=request.auth)
    return await read_state(thread, open_graph=readable, subgraphs=subgraphs)


@asynccontextmanager
async def readable(name: str, config: Any) -> AsyncIterator[Any]:
    """Open a graph to read its threads' states."""
    async with graphs.open_graph(name, config, runtime=read_runtime()) as graph:
        bound = copy.copy(graph)
        bound.checkpointer = runtime.current().storage.reader().with_allowlist(graphs.checkpoint_types(graph))
        yield bound
