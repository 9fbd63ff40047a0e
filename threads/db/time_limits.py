"""A time limit for searches, lists and counts of clients, on both databases.

Inside `time_limit()`, each call on a database thread and each read of checkpoints is interrupted
after `LONGEST` seconds. No statement is sent for it: only what is too slow costs anything. A call
waits no longer than that for its turn: of one user's calls, a few are executed at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from django.db import DatabaseError, connections

T = TypeVar("T")

#: How long a query may take, in seconds. What an index finds takes milliseconds.
LONGEST = 5.0
#: How long a call waits until it begins, in seconds.
LONGEST_WAIT = 5.0
#: Pause between interruptions, in seconds, because one may find no statement to interrupt.
AGAIN = 0.1

_limit: ContextVar[float | None] = ContextVar("time_limit", default=None)
_whose: ContextVar[Hashable] = ContextVar("whose", default=None)


class QueryTooSlow(Exception):
    """A query was interrupted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The search was stopped after {seconds:g} s. Narrow it by other conditions, such as metadata, status or ids."
        )


class TooManySearches(QueryTooSlow):
    """A call did not begin in time."""

    #: When to try again, in seconds.
    retry_after = 5

    def __init__(self, *, own: bool) -> None:
        Exception.__init__(self, f"{'Your other' if own else 'Other'} searches take too long; try again.")
        #: Whether it waited for calls of the same user.
        self.own = own


def searching_for(user_id: Hashable) -> None:
    """Note for whom the calls of this task with a time limit are made."""
    _whose.set(user_id)


def searcher() -> Hashable:
    """The user for whom calls are made here; None if it is not known."""
    return _whose.get()


@contextmanager
def time_limit(seconds: float | None = None, *, of: Hashable = None) -> Iterator[None]:
    """Limit the queries that are started in the block, by default to `LONGEST`.

    Args:
        of: The user for whom they are made, unless it is the one of `searching_for`.
    """
    token, whose = _limit.set(LONGEST if seconds is None else seconds), _whose.set(of or _whose.get())
    try:
        yield
    finally:
        _limit.reset(token)
        _whose.reset(whose)


def current_limit() -> float | None:
    """The limit that applies here, in seconds; None if none does."""
    return _limit.get()


#: The limited call of this thread: `now`.
_calls = threading.local()


@contextmanager
def interruptible(db: sqlite3.Connection) -> Iterator[None]:
    """Let the time limit of the present call also interrupt a connection that is not Django's."""
    call: LimitedCall[Any] | None = getattr(_calls, "now", None)
    if call is None:
        yield
        return
    call.uses(db)
    try:
        yield
    finally:
        call.uses(None)


class LimitedCall(Generic[T]):
    """A call on a database thread, which other threads may interrupt."""

    def __init__(self, call: Callable[[], T], seconds: float) -> None:
        self._call, self._seconds = call, seconds
        self._guard = threading.Lock()
        self._connection: Any = None
        self._own: sqlite3.Connection | None = None
        self._began: float | None = None
        self._interrupted = self._over = self._abandoned = False
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> T:
        """Raises QueryTooSlow if it was interrupted."""
        with self._guard:
            if self._abandoned:
                raise QueryTooSlow(self._seconds)
            self._connection, self._began = connections["default"], time.monotonic()
        _calls.now = self
        try:
            return self._call()
        except (DatabaseError, sqlite3.Error) as error:
            if not self._interrupted:
                raise
            raise QueryTooSlow(self._seconds) from error
        finally:
            _calls.now = None
            # Nothing may interrupt the next call on this connection.
            with self._guard:
                self._connection, self._own, self._over = None, None, True

    def abandon(self) -> bool:
        """Never begin; return False if the call has begun."""
        with self._guard:
            self._abandoned = self._began is None
            return self._abandoned

    def uses(self, db: sqlite3.Connection | None) -> None:
        """Interrupt this connection too."""
        with self._guard:
            self._own = db

    async def made(self, run: Callable[[Callable[[], T]], Awaitable[T]], give: Callable[[], None]) -> T:
        """Make the call by `run`, which executes functions on other threads.

        Raises TooManySearches if it does not begin in time.

        Args:
            give: Gives the user's turn back, and may be called repeatedly. A call whose caller has left
                keeps it until it ends.
        """
        loop = asyncio.get_running_loop()

        def work() -> T:
            try:
                return self()
            finally:
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(give)

        self.watch()
        job = asyncio.ensure_future(run(work))
        try:
            await asyncio.wait([job], timeout=LONGEST_WAIT)
            if not job.done() and self.abandon():
                raise TooManySearches(own=False)
            return await job
        finally:
            job.cancel()
            if self.abandon():
                give()
            self.left()

    def watch(self) -> None:
        """Interrupt the call when its time is over. Called in the event loop."""
        if self._over or self._abandoned:
            return
        left = self._seconds if self._began is None else self._began + self._seconds - time.monotonic()
        if left <= 0:
            # The request to cancel goes over the network.
            threading.Thread(target=self._interrupt, name="interrupt", daemon=True).start()
        self._timer = asyncio.get_running_loop().call_later(max(left, AGAIN), self.watch)

    def left(self) -> None:
        """Watch no longer, if the call is over; one whose caller was cancelled may be executed still."""
        if (self._over or self._abandoned) and self._timer is not None:
            self._timer.cancel()

    def _interrupt(self) -> None:
        with self._guard:
            if self._own is not None:
                self._interrupted = True
                self._own.interrupt()
            raw = self._connection.connection if self._connection is not None else None
            if raw is None:
                return
            self._interrupted = True
            with suppress(Exception):  # the connection is lost, or was closed
                if self._connection.vendor == "postgresql":
                    raw.cancel_safe(timeout=self._seconds)
                else:
                    raw.interrupt()


@asynccontextmanager
async def limited(interrupt: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
    """Apply the current limit to an asynchronous read. Raises QueryTooSlow.

    Args:
        interrupt: Ends the statement of a driver that continues it when its caller is cancelled.
    """
    seconds = current_limit()
    if seconds is None:
        yield
        return
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        if interrupt is not None:
            await interrupt()
        raise QueryTooSlow(seconds) from None
