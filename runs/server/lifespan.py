"""The lifespan of one server process: open, recover, serve, drain, close; and ASGI's protocol."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from enum import StrEnum
from types import FrameType
from typing import Any, Protocol

from runs.server.garbage_collection import collect_less
from runs.server.types import Receive, Scope, Send
from threads.db.tasks import spawn

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Maximum seconds for the interpreter's exit.
EXIT = 5.0


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    CLOSED = "closed"
    FAILED = "failed"


class Stopped(Exception):
    """The server was stopped before it had started."""

    exit_code = 0


class Runtime(Protocol):
    """The interface of the runtime for the lifespan; leaving its context manager closes it."""

    def stop_claiming(self) -> None: ...


class Lifespan:
    """Opens the runtime once, keeps it open while the process serves, and drains it once.

    A separate task enters and leaves the context manager `open(execute=…, options=…)`, so that no
    request, signal or cancelled server task can interrupt it. The context manager limits the time
    of the drain.
    """

    def __init__(self, open: Callable[..., AbstractAsyncContextManager[Runtime]]) -> None:
        self.execute = True
        #: Options of this process's worker that override the settings, if any.
        self.options: Any = None
        self.state = State.STARTING
        #: Why the start or the drain failed.
        self.error: Exception | None = None
        self._open = open
        self._runtime: Runtime | None = None
        self._task: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._stop = asyncio.Event()
        self._signals = 0

    @property
    def begun(self) -> bool:
        """Whether the start was requested."""
        return self._task is not None

    @property
    def exit_code(self) -> int:
        """The process's exit code: 0 after a drain; else 1, or the error's own `exit_code`."""
        return 0 if self.error is None else getattr(self.error, "exit_code", 1)

    async def startup(self) -> None:
        """Open the runtime once; later and concurrent callers share this start and its error."""
        if self._task is None and self.state is State.STARTING:
            # An empty context: otherwise all runs would use the database thread of the first request.
            self._task = spawn(self._live(), "lifespan")
        await self._started.wait()
        if self.error is not None:
            raise self.error

    def begin_drain(self) -> None:
        """Stop claiming and start the drain; further calls do nothing.

        For the loop's thread only.
        """
        if self.state is State.STARTING:
            if self._task is None:
                self.state, self.error = State.CLOSED, Stopped(Stopped.__doc__)
                self._started.set()
                return
            self._task.cancel()
        elif self.state is not State.READY:
            return
        self.state = State.DRAINING
        self._stop.set()
        if self._runtime is not None:
            self._runtime.stop_claiming()

    async def shutdown(self) -> None:
        """Drain, and wait for its end. A cancellation meanwhile is raised afterwards."""
        self.begin_drain()
        cancelled: asyncio.CancelledError | None = None
        while self._task is not None and not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        if self.state is State.CLOSED and self.error is not None and not isinstance(self.error, Stopped):
            raise self.error

    async def ended(self) -> None:
        """Wait until the drain has begun and ended. Raises like `shutdown`."""
        await self._stop.wait()
        await self.shutdown()

    def signalled(self) -> None:
        """Begin the drain after a signal. Further signals do not abort it, and are logged once."""
        self._signals += 1
        if self._signals == 1:
            logger.info("Received a stop signal: draining.")
            self.begin_drain()
        elif self._signals == 2 and self.state is State.DRAINING:
            logger.warning("Received another stop signal: already draining.")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI lifespan protocol, for servers that support it."""
        await receive()
        with self._signals_heard():
            try:
                await self.startup()
            except Exception as error:
                # Not raised, because uvicorn and hypercorn would take that for "no lifespan support", and
                # serve.
                await send({"type": "lifespan.startup.failed", "message": str(error) or repr(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            try:
                await receive()
            finally:
                try:
                    await self.shutdown()
                except Exception as error:
                    await send({"type": "lifespan.shutdown.failed", "message": str(error) or repr(error)})
                else:
                    await send({"type": "lifespan.shutdown.complete"})

    async def _live(self) -> None:
        try:
            options = {} if self.options is None else {"options": self.options}
            async with self._open(execute=self.execute, **options) as self._runtime:
                if self.state is State.STARTING:
                    self.state = State.READY
                    self._started.set()
                await self._stopped()
        except BaseException as error:
            self._failed(error)
        self._end()

    async def _stopped(self) -> None:
        try:
            await self._stop.wait()
        except asyncio.CancelledError:
            # A cancellation starts the drain, which must not be cancelled itself.
            while (task := asyncio.current_task()) is not None and task.uncancel():
                pass
            self.begin_drain()

    def _failed(self, error: BaseException) -> None:
        started = self._started.is_set()
        if isinstance(error, asyncio.CancelledError) and not started:
            return  # begin_drain() during the start: everything is closed again
        self.error = error if isinstance(error, Exception) else RuntimeError(f"Cut off by {error!r}.")
        # An error with an exit code is a configuration error, whose message suffices.
        if not hasattr(error, "exit_code"):
            logger.error("The drain failed." if started else "The start failed.", exc_info=error)

    def _end(self) -> None:
        if not self._started.is_set() and self.error is None:
            self.error = Stopped(Stopped.__doc__)
        failed = not self._started.is_set() and not isinstance(self.error, Stopped)
        self.state = State.FAILED if failed else State.CLOSED
        self._runtime = None
        self._started.set()

    @contextmanager
    def _signals_heard(self) -> Iterator[None]:
        """Begin the drain at a stop signal, and then call the server's own signal handler.

        Uvicorn and granian send `lifespan.shutdown` after the last connection has ended. An open
        event stream ends only with the drain, so it would block the shutdown forever. Their
        handler gets only the first signal, because uvicorn skips the shutdown after a second one.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        previous: dict[int, Callable[[int, FrameType | None], Any]] = {
            number: handler for number in STOP_SIGNALS if callable(handler := signal.getsignal(number))
        }
        passed_on = False

        def hear(number: int, frame: FrameType | None) -> None:
            nonlocal passed_on
            loop.call_soon_threadsafe(self.signalled)
            if not passed_on or self.state is State.CLOSED:
                passed_on = True
                previous[number](number, frame)

        for number in previous:
            signal.signal(number, hear)
        try:
            yield
        finally:
            for number, handler in previous.items():
                if signal.getsignal(number) is hear:
                    signal.signal(number, handler)


@asynccontextmanager
async def open_runtime(*, execute: bool, options: Any = None) -> AsyncIterator[Runtime]:
    # The import needs the models, which are not loaded yet when this module is imported.
    from runs.worker.opening import open_runtime

    async with open_runtime(execute=execute, options=options) as opened:
        collect_less()
        yield opened


def exit_anyway(code: int) -> None:
    """Exit soon, without the interpreter's wait for threads of abandoned work."""

    def leave() -> None:
        logger.warning("Threads of abandoned work are still running: exiting without them.")
        sys.stdout.flush()
        os._exit(code)

    timer = threading.Timer(EXIT, leave)
    timer.daemon = True
    timer.start()


lifespan = Lifespan(open_runtime)
