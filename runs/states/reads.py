"""Reads threads' states through a graph, with a read-only saver."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from runs import graphs
from runs.process.current import current
from runs.states.openings import asking, open_for_thread
from threads.state.read import Graphs


@asynccontextmanager
async def readable(name: str, config: Any, *, user: Any = None) -> AsyncIterator[Any]:
    """Open a graph to read its threads' states; `user` as in `open_for_thread`."""
    async with open_for_thread(name, config, "threads.read", user) as graph:
        bound = copy.copy(graph)
        bound.checkpointer = current().storage.reader().with_allowlist(graphs.checkpoint_types(graph))
        yield bound


def readable_by(principal: object) -> Graphs:
    """`readable` for the user that makes the request."""
    return partial(readable, user=asking(principal))
