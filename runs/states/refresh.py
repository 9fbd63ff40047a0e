"""Refreshes a thread's values after a run that ended without reading them.

Values are read through a graph, and a transaction that ends a run cannot wait for that. It marks
the thread as stale instead (`Thread.stale_since`). The process that ended the run refreshes the
values at once; the sweeps of workers refresh the rest.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from runs.conf import settings
from runs.encoding import encode
from runs.graphs import GraphNotFound
from runs.states.reads import readable
from threads.checkpoints import StorageUnavailable
from threads.db import clock
from threads.db.database import in_database
from threads.db.errors import is_passing
from threads.db.fields import Encoded
from threads.models import Thread
from threads.state.read import address
from threads.texts.writing import write_of

logger = logging.getLogger(__name__)

#: How often a thread's values are read without an end to it, before it keeps those that it showed.
TRIES = 2
#: Threads that one sweep refreshes at most.
BATCH = 100


async def refresh_state(thread_id: UUID) -> None:
    """Refresh a thread's values, if they are stale and no run executes there. An error is logged,
    not raised.
    """
    try:
        thread = await in_database(Thread.objects.stale().filter(id=thread_id).first)
        if thread is not None:
            await _refresh(thread)
    except Exception as error:
        logger.warning("Thread %s: its values could not be refreshed yet: %s", thread_id, error)


async def refresh_stale() -> None:
    """Refresh the values of the threads that have been stale for longest, up to BATCH of them."""
    for thread in await in_database(list, Thread.objects.stale().order_by("stale_since")[:BATCH]):
        await _refresh(thread)


async def _refresh(thread: Thread) -> None:
    """Read a thread's values and write them, unless another writer has changed the thread
    meanwhile.
    """
    changes: dict[str, Any] = {"stale_since": None, "refreshes": None}
    graph_id = thread.metadata.get("graph_id")
    if graph_id and thread.epoch and await in_database(_begin, thread):
        try:
            async with readable(graph_id, address(thread)) as graph:
                state = await graph.aget_state(address(thread))
            changes |= {"values": Encoded(encode(state.values)), "state_updated_at": clock.now()}
        except Exception as error:
            if _may_succeed_later(error, thread):
                await in_database(_write, thread, {"refreshes": None})
                return
            logger.warning(
                "Thread %s: its values cannot be read; it keeps those that it showed.",
                thread.id,
                exc_info=True,
            )
    await in_database(_write, thread, changes)


def _begin(thread: Thread) -> bool:
    """Count that a thread's graph is about to be opened; return False if that never came to an end."""
    begun = thread.refreshes or 0
    if begun >= TRIES:
        logger.error(
            "Thread %s: its values are not read, because %s processes ended while they opened its graph.",
            thread.id,
            begun,
        )
        return False
    Thread.objects.stale().filter(id=thread.id, epoch=thread.epoch).update(refreshes=begun + 1)
    return True


def _write(thread: Thread, changes: dict[str, Any]) -> None:
    with transaction.atomic():
        unchanged = Thread.objects.stale().filter(id=thread.id, epoch=thread.epoch)
        if unchanged.update(**changes) and "values" in changes:
            write_of(Thread.objects.filter(id=thread.id))


def _may_succeed_later(error: Exception, thread: Thread) -> bool:
    if isinstance(error, GraphNotFound):
        # Another process may have the graph, during a deployment.
        assert thread.stale_since is not None
        return clock.now() - thread.stale_since < timedelta(seconds=settings.GRAPH_WAIT)
    return isinstance(error, StorageUnavailable) or is_passing(error)
