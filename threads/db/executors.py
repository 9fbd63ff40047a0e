"""Threads for synchronous work of graphs and of the server. None of them delays the process's exit.

Synchronous nodes, tools and model clients run in the event loop's default executor. Python's
default has a few more threads than processors and waits for all of them at exit. There a few
hanging nodes would block all other nodes, the server's own work, and the shutdown.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(ThreadPoolExecutor):
    """Up to `size` daemon threads, started when there is work and none of them is idle.

    A `ThreadPoolExecutor` because event loops accept no other default; its implementation is not
    used.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(max_workers=size, thread_name_prefix=name)
        self._size, self._name = size, name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._started = 0
        self._idle = 0
        self._over = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        with self._guard:
            if self._over:
                raise RuntimeError("This process is shutting down and starts no more synchronous work.")
            if self._idle:
                self._idle -= 1
            elif self._started < self._size:
                self._started += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True).start()
            self._jobs.put(job)
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job
            with self._guard:
                if self._over:
                    return
                self._idle += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start nothing more. Waits for no thread, because a hanging one would delay the exit."""
        with self._guard:
            self._over = True
            started, self._started = self._started, 0
        for _ in range(started):
            self._jobs.put(None)


#: For the server's own work, which a graph's hanging threads must not block: large checkpoints, drawings,
#: searches.
own = DaemonThreads(4, "own")
#: For resolving host names of webhooks: a resolver that does not answer takes up to half a minute.
resolvers = DaemonThreads(32, "resolver")


async def in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `asyncio.to_thread`, for functions of the server, on a separate executor."""
    call = partial(contextvars.copy_context().run, function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(own, call)
