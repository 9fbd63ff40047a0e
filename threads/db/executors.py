"""Threads for synchronous work of graphs and of the server. None of them delays the process's exit.

Synchronous nodes, tools and model clients run in the event loop's default executor. Python's
default has a few more threads than processors and waits for all of them at exit. There a few
hanging nodes would block all other nodes, the server's own work, and the shutdown.

A thread cannot be stopped. One whose caller was cancelled is abandoned: another takes its place, up
to a bound, until its call ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

#: The most abandoned threads of a pool that are replaced.
MOST_ABANDONED = 256


class _Call(Future[Any]):
    """A call that may be executing. Its future notices when its caller is cancelled."""

    def __init__(self, function: Callable[[], Any], abandoned: Callable[[_Call], None]) -> None:
        super().__init__()
        self._function: Callable[[], Any] | None = function
        self._abandoned = abandoned

    def execute(self) -> None:
        assert self._function is not None
        if not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(self._function())
        except BaseException as error:
            self.set_exception(error)
        finally:
            self._function = None

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if not cancelled:
            self._abandoned(self)
        return cancelled


class DaemonThreads(ThreadPoolExecutor):
    """Up to `size` daemon threads, and one for each abandoned one, started when no idle one is left.

    A `ThreadPoolExecutor` because event loops accept no other default; its implementation is not
    used.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(max_workers=size, thread_name_prefix=name)
        self._size, self._name = size, name
        self._calls: deque[_Call] = deque()
        self._changed = threading.Condition()
        self._numbers = 0
        self._started = 0
        self._idle = 0
        self._abandoned: set[_Call] = set()
        self._over = False

    @property
    def busy(self) -> int:
        """How many threads execute a call, abandoned ones included."""
        return self._started - self._idle

    @property
    def abandoned(self) -> int:
        """How many threads execute a call whose caller was cancelled."""
        return len(self._abandoned)

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return len(self._calls)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        call = _Call(partial(function, *args, **kwargs), self._abandon)
        with self._changed:
            if self._over:
                raise RuntimeError("This process is shutting down and starts no more synchronous work.")
            self._calls.append(call)
            self._start_if_needed()
            self._changed.notify()
        return call

    def _start_if_needed(self) -> None:
        if len(self._calls) > self._idle and self._started < self._most():
            self._started += 1
            self._numbers += 1
            name = f"{self._name}-{self._numbers}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _most(self) -> int:
        return self._size + min(len(self._abandoned), MOST_ABANDONED)

    def _abandon(self, call: _Call) -> None:
        with self._changed:
            if self._over or not call.running() or call in self._abandoned:
                return
            self._abandoned.add(call)
            self._start_if_needed()
            full = len(self._abandoned) == MOST_ABANDONED
        if full:
            logger.error(
                "%s threads (%r) execute synchronous calls whose callers were cancelled, and do not end. "
                "No more of them are replaced: restart this process.", MOST_ABANDONED, self._name,
            )  # fmt: skip

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.execute()
            with self._changed:
                self._abandoned.discard(call)
            del call

    def _next(self) -> _Call | None:
        """Wait for a call; None if this thread is needed no more."""
        with self._changed:
            while True:
                if self._over or self._started > self._most():
                    self._started -= 1
                    return None
                if self._calls:
                    return self._calls.popleft()
                self._idle += 1
                self._changed.wait()
                self._idle -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start nothing more. Waits for no thread, because a hanging one would delay the exit."""
        with self._changed:
            self._over = True
            self._changed.notify_all()


#: Where synchronous work is executed that would otherwise be a node's.
_instead: contextvars.ContextVar[DaemonThreads | None] = contextvars.ContextVar("executor", default=None)


class NodeThreads(DaemonThreads):
    """The event loop's default executor: threads for synchronous nodes, tools and models."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if (other := _instead.get()) is not None:
            return other.submit(function, *args, **kwargs)
        return super().submit(function, *args, **kwargs)


@contextmanager
def executed_by(pool: DaemonThreads) -> Iterator[None]:
    """Let a pool execute what the block would give to the event loop's default executor."""
    token = _instead.set(pool)
    try:
        yield
    finally:
        _instead.reset(token)


#: For the server's own work, which a graph's hanging threads must not block: large checkpoints, drawings,
#: searches.
own = DaemonThreads(4, "own")
#: For resolving host names of webhooks: a resolver that does not answer takes up to half a minute.
resolvers = DaemonThreads(32, "resolver")
#: For embeddings of the store. A synchronous node that puts an item waits for one on a thread of the nodes.
embedders = DaemonThreads(8, "embedding")


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `asyncio.to_thread`, for functions of the server, on a separate executor."""
    call = partial(contextvars.copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(own, call)
