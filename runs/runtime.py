"""The runtime of this process: what the lifespan opens, and what everything else finds by `current()`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from uuid import UUID

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from runs import blocked, forks, graphs, startup, store_settings
from runs.assistants import create_system_assistants
from runs.conf import settings
from runs.events import EventHub
from runs.leases import executing_alone
from runs.manager import RunManager
from runs.notifications import notifications, notify_after_commit
from runs.options import WorkerOptions
from runs.wakeups import WORK, Wakeups
from runs.watchdog import watched_loop
from threads import clock
from threads.checkpoints import CheckpointStorage, open_checkpoints
from threads.database import in_database, threads
from threads.executors import DaemonThreads, in_thread

logger = logging.getLogger(__name__)

#: How long the end of database calls is waited for once the drain is over; one that hangs ends with the process.
CLOSE_SECONDS = 1.0

_current: Runtime | None = None


@dataclass(slots=True)
class Runtime:
    """The parts that live as long as the process serves."""

    storage: CheckpointStorage
    hub: EventHub
    wakeups: Wakeups
    #: None in a process that only serves.
    manager: RunManager | None = None
    draining: bool = False
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    @property
    def executes(self) -> bool:
        return self.manager is not None

    def stop_claiming(self) -> None:
        """Be ready for no more work; called once a shutdown has begun."""
        self.draining = True
        if self.manager is not None:
            self.manager.stop_claiming()

    def cancelled(self, run_id: UUID) -> None:
        """Tell every process that something was asked of a run, or that it ended."""
        self.wakeups.tell(run_id)
        self.wakeups.tell(WORK)

    def work_added(self) -> None:
        """Tell every process that a run waits."""
        self.wakeups.tell(WORK)


def current() -> Runtime:
    """This process's runtime. Raises RuntimeError outside its lifespan."""
    if _current is None:
        raise RuntimeError("The runtime is not open: requests are served inside the lifespan only.")
    return _current


def notify_cancelled(run_id: UUID) -> None:
    """`Runtime.cancelled` for synchronous code, from any thread, in a process with a runtime or without one.

    Only a wake-up: whoever executes the run or reads it finds by itself, a poll later, what was written to its row.
    """
    opened = _current
    if opened is None:
        notify_after_commit([run_id, WORK])
        return
    with suppress(RuntimeError):  # the loop closed meanwhile
        opened.loop.call_soon_threadsafe(opened.cancelled, run_id)


def ring(key: str) -> None:
    """Wake those in this process who wait for a key; from any thread, in a process with a runtime or without one."""
    if (opened := _current) is not None:
        with suppress(RuntimeError):  # the loop closed meanwhile
            opened.loop.call_soon_threadsafe(opened.wakeups.ring, key)


@asynccontextmanager
async def runtime(*, execute: bool = True, options: WorkerOptions | None = None) -> AsyncIterator[Runtime]:
    """Open storage, recover, start executing; at the exit drain the runs, end the streams, and close, in this order.

    The order holds by construction: the manager is entered last, and its exit is the drain.

    Args:
        execute: Whether this process executes runs, or only serves.
        options: What differs from the settings in this process.

    Raises StartupError when it cannot.
    """
    global _current
    async with AsyncExitStack() as stack:
        stack.callback(_forget)
        stack.push_async_callback(in_thread, threads.close, CLOSE_SECONDS)
        stack.enter_context(watched_loop(_hand_back_others))
        stack.enter_context(forks.network_not_inherited())
        options = options or WorkerOptions()
        # Synchronous nodes run here, as many at once as runs: one each.
        nodes = DaemonThreads(options.concurrency or settings.CONCURRENCY, "nodes")
        stack.callback(nodes.shutdown)
        asyncio.get_running_loop().set_default_executor(nodes)
        if execute:
            await stack.enter_async_context(executing_alone())
        for name, error in graphs.load_all().items():
            logger.error("Graph %r cannot be loaded; its runs will fail: %s", name, error)
        store_settings.configuration()
        serde = JsonPlusSerializer(allowed_msgpack_modules=graphs.checkpoint_types())
        storage = await stack.enter_async_context(
            open_checkpoints(
                file=settings.CHECKPOINTS_FILE, serde=serde, retry_seconds=settings.LEASE * 2 / 3
            )
        )
        wakeups = Wakeups()
        opened = Runtime(storage, EventHub(wakeups), wakeups)
        await in_database(clock.ask)
        await stack.enter_async_context(notifications(wakeups))
        stack.callback(opened.hub.close)
        await in_database(create_system_assistants, graphs.names())
        if execute:
            opened.manager = await stack.enter_async_context(
                RunManager(storage=storage, hub=opened.hub, wakeups=wakeups, options=options)
            )
            for step in startup.steps():
                await step(opened.manager)
            opened.manager.begin()
        _current = opened
        try:
            yield opened
        finally:
            opened.stop_claiming()


def _hand_back_others(frame: FrameType | None) -> None:
    """Let the runs beside the one that blocks this process's loop go on without it."""
    if (opened := _current) is not None and opened.manager is not None:
        blocked.hand_back_others(opened.manager.worker_id, frame)


def _forget() -> None:
    global _current
    _current = None
