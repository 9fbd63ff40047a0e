"""How threads' states are read: through a graph, with a saver that only reads."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from runs import graphs
from runs.graphs.runtimes import read_runtime
from runs.graphs.stores import store_of_thread
from runs.process.current import current


@asynccontextmanager
async def readable(name: str, config: Any) -> AsyncIterator[Any]:
    """Open a graph to read its threads' states."""
    async with graphs.open_graph(name, config, runtime=read_runtime(store=store_of_thread(config))) as graph:
        bound = copy.copy(graph)
        bound.checkpointer = current().storage.reader().with_allowlist(graphs.checkpoint_types(graph))
        yield bound
