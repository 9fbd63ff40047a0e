"""Opens a process's runtime, and closes it in an order that loses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import FrameType
from uuid import UUID

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs import graphs
from runs.assistants import create_system_assistants
from runs.conf import settings
from runs.events.hub import EventHub
from runs.execution import tracing
from runs.graphs import store_settings
from runs.process import forks, startup
from runs.process.current import Runtime, make_current
from runs.process.executor_lock import executing_alone
from runs.process.notifications import notifications
from runs.process.options import WorkerOptions
from runs.process.wakeups import Wakeups
from runs.process.watchdog import watched_loop
from runs.worker import blocked
from runs.worker.manager import RunManager
from threads.checkpoints import CheckpointStorage, open_checkpoints
from threads.db import clock
from threads.db.database import in_database, threads
from threads.db.executors import NodeThreads, in_thread

logger = logging.getLogger(__name__)

#: How long to wait for database calls to end after the drain, in seconds; a call that hangs ends with the
#: process.
CLOSE_SECONDS = 1.0


@asynccontextmanager
async def open_runtime(
    *, execute: bool = True, options: WorkerOptions | None = None
) -> AsyncIterator[Runtime]:
    """Open storage, recover, start executing; at the exit drain the runs, end the streams, and
    close.

    The order follows from the exit stack: the manager is entered last, and its exit is the drain.

    Args:
        execute: Whether this process executes runs, or only serves.
        options: What differs from the settings in this process.

    Raises StartupError if the process cannot start.
    """
    options = options or WorkerOptions()
    manager: RunManager | None = None

    def worker_id() -> UUID | None:
        return manager.worker_id if manager is not None else None

    async with AsyncExitStack() as stack:
        stack.callback(make_current, None)
        stack.push_async_callback(in_thread, threads.close, CLOSE_SECONDS)
        stack.enter_context(watched_loop(_others_handed_back(worker_id)))
        stack.enter_context(forks.network_not_inherited())
        stack.callback((nodes := _node_threads(options)).shutdown)
        if execute:
            await stack.enter_async_context(executing_alone())
        _load_graphs()
        storage = await stack.enter_async_context(_checkpoints())
        wakeups = Wakeups()
        opened = Runtime(storage, EventHub(wakeups), wakeups, nodes)
        await in_database(clock.ask)
        await stack.enter_async_context(notifications(wakeups))
        stack.callback(opened.hub.close)
        await in_database(create_system_assistants, graphs.names())
        await stack.enter_async_context(startup.surroundings())
        if execute:
            await in_thread(tracing.prepare)
            manager = RunManager(storage=storage, hub=opened.hub, wakeups=wakeups, options=options)
            await stack.enter_async_context(manager)
            opened.manager = manager
            await startup.perform(manager.worker_id)
            manager.begin()
        make_current(opened)
        try:
            yield opened
        finally:
            opened.stop_claiming()


def _node_threads(options: WorkerOptions) -> NodeThreads:
    """Where synchronous nodes execute, on one thread for each run."""
    nodes = NodeThreads(options.concurrency or settings.CONCURRENCY, "nodes")
    asyncio.get_running_loop().set_default_executor(nodes)
    return nodes


def _load_graphs() -> None:
    for name, error in graphs.load_all().items():
        logger.error("Graph %r cannot be loaded; its runs will fail: %s", name, error)
    store_settings.configuration()


def _checkpoints() -> AbstractAsyncContextManager[CheckpointStorage]:
    """The storage, for the types of the loaded graphs."""
    serde = JsonPlusSerializer(allowed_msgpack_modules=graphs.checkpoint_types())
    retry_seconds = settings.LEASE * 2 / 3
    return open_checkpoints(file=settings.CHECKPOINTS_FILE, serde=serde, retry_seconds=retry_seconds)


def _others_handed_back(worker_id: Callable[[], UUID | None]) -> Callable[[FrameType | None], None]:
    """A callback for the watchdog that requeues the runs beside the one that blocks this process's
    event loop.
    """

    def hand_back(frame: FrameType | None) -> None:
        if (own := worker_id()) is not None:
            blocked.hand_back_others(own, frame)

    return hand_back
