"""What is open in this process, and what everything else finds by `current()`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from runs.process.notifications import notify_after_commit
from runs.process.wakeups import WORK, Wakeups

if TYPE_CHECKING:
    from runs.events.hub import EventHub
    from runs.models import Run
    from threads.checkpoints import CheckpointStorage

_current: Runtime | None = None


class Slot(Protocol):
    """A place for one run, reserved before its admission so that it can be claimed in the same transaction."""

    worker_id: UUID

    @property
    def queues(self) -> Collection[str] | None: ...

    def start(self, run: Run) -> None: ...

    def release(self) -> None: ...


class Manager(Protocol):
    """What the rest of a process asks of the part that executes runs."""

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
    """The parts that live as long as the process serves."""

    storage: CheckpointStorage
    hub: EventHub
    wakeups: Wakeups
    #: None in a process that only serves.
    manager: Manager | None = None
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


def make_current(runtime: Runtime | None) -> None:
    """Let `current` find a runtime from now on, or none."""
    global _current
    _current = runtime


def current() -> Runtime:
    """Return this process's runtime. Raises RuntimeError outside its lifespan."""
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
