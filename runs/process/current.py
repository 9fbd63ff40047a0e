"""The runtime of this process, which other modules get by `current()`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from django.db import connection, transaction

from runs.process.notifications import notify_after_commit
from runs.process.wakeups import WORK, Wakeups

if TYPE_CHECKING:
    from runs.events.hub import EventHub
    from runs.models import Run
    from threads.checkpoints import CheckpointStorage
    from threads.db.executors import NodeThreads

T = TypeVar("T")
_current: Runtime | None = None


class Slot(Protocol):
    """A place for one run, reserved before its admission so that it can be claimed in the same transaction."""

    worker_id: UUID

    @property
    def queues(self) -> Collection[str] | None: ...

    def start(self, run: Run) -> None: ...

    def release(self) -> None: ...


class Manager(Protocol):
    """What the rest of a process needs of the run manager."""

    @property
    def active(self) -> Mapping[UUID, Any]: ...

    @property
    def worker_id(self) -> UUID: ...

    @property
    def concurrency(self) -> int: ...

    def reserve(self) -> Slot | None: ...

    def stop_claiming(self) -> None: ...


@dataclass(slots=True)
class Runtime:
    """The parts that exist while the process serves or executes."""

    storage: CheckpointStorage
    hub: EventHub
    wakeups: Wakeups
    #: The threads of synchronous nodes.
    nodes: NodeThreads
    #: None in a process that only serves.
    manager: Manager | None = None
    draining: bool = False
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    @property
    def executes(self) -> bool:
        return self.manager is not None

    @property
    def hears_all(self) -> bool:
        """Whether this process is woken whenever a run begins or ends.

        On SQLite, one process executes all runs.
        """
        return self.wakeups.connected or (connection.vendor == "sqlite" and self.executes)

    def stop_claiming(self) -> None:
        """Take no more runs; called once a shutdown has begun."""
        self.draining = True
        if self.manager is not None:
            self.manager.stop_claiming()

    def cancelled(self, run_id: UUID) -> None:
        """Notify every process that a run was cancelled, or that it ended."""
        self.wakeups.tell(run_id)
        self.wakeups.tell(WORK)

    def work_added(self) -> None:
        """Notify every process that a run is pending."""
        self.wakeups.tell(WORK)


def make_current(runtime: Runtime | None) -> None:
    """Set the runtime that `current` returns; None for no runtime."""
    global _current
    _current = runtime


def current() -> Runtime:
    """Return this process's runtime. Raises RuntimeError outside its lifespan."""
    if _current is None:
        raise RuntimeError("The runtime is not open: requests are served inside the lifespan only.")
    return _current


def notify_cancelled(run_id: UUID) -> None:
    """`Runtime.cancelled` for synchronous code, from any thread, in a process with or without a
    runtime; once the present transaction commits.

    This is only a wake-up: without it, the run's owner and readers see the change of the row at
    their next poll.
    """
    tell_after_commit([run_id, WORK])


def is_open() -> bool:
    """Whether this code runs in the event loop of an open runtime."""
    try:
        return _current is not None and _current.loop is asyncio.get_running_loop()
    except RuntimeError:
        return False


def tell_after_commit(keys: Iterable[UUID | str]) -> None:
    """Wake the waiters for keys in every process when the present transaction commits; from any
    thread, in a process with or without a runtime.
    """
    told, opened = list(dict.fromkeys(keys)), _current
    if opened is None:
        notify_after_commit(told)
        return

    def tell() -> None:
        with suppress(RuntimeError):  # the loop closed meanwhile
            for key in told:
                opened.loop.call_soon_threadsafe(opened.wakeups.tell, key)

    transaction.on_commit(tell)


def ring(key: str) -> None:
    """Wake this process's waiters for a key; from any thread, in a process with or without a
    runtime.
    """
    if (opened := _current) is not None:
        with suppress(RuntimeError):  # the loop closed meanwhile
            opened.loop.call_soon_threadsafe(opened.wakeups.ring, key)


def call(coroutine: Coroutine[Any, Any, T], *, timeout: float = 30.0) -> T:
    """The result of a coroutine, for synchronous code in a thread: in the runtime's loop, if there is
    a runtime.
    """
    if (opened := _current) is None:
        return asyncio.run(coroutine)
    return asyncio.run_coroutine_threadsafe(coroutine, opened.loop).result(timeout)
