"""Django's database from the event loop: one synchronous function, one transaction, one call.

The ORM has no asynchronous form; its async methods use threads. The threads that asgiref picks
either serialise the whole process (one thread for everything outside a request) or leak a
connection (a task started from a request). So the server has a fixed set of database threads, each
of which keeps its connection until `close()`.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import select
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ParamSpec, TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections

from threads.db import time_limits
from threads.db.errors import READ_ONLY, is_passing, sqlstate
from threads.db.time_limits import LimitedCall, TooManySearches, current_limit, searcher
from threads.db.turns import TooLongAwaited, Turns

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

#: SQLite has one writer at a time, and waiting writers poll: a single thread is faster and fair.
THREADS = {"sqlite": 1, "postgresql": 9}
#: Further threads for calls with a time limit: what clients search for delays only other searches.
SEARCHING = {"sqlite": 3, "postgresql": 3}

#: Of these, one user's calls may use so many at once; further ones wait.
SEARCHES_OF_USER = 2

#: PostgreSQL's codes of an aborted transaction (serialization failure, deadlock), and how often one is
#: retried.
SACRIFICED, SACRIFICES = ("40001", "40P01"), 3

#: A function to call, and the future for its result; None ends a thread.
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Group:
    """A pool of threads for database work, started on first use.

    They are daemons: a thread that hangs in a query must not keep the process from exiting, as the
    threads of `concurrent.futures` would.

    Args:
        sizes: The number of threads by the database's vendor.
    """

    def __init__(self, sizes: Mapping[str, int], name: str) -> None:
        self._sizes, self._name = sizes, name
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` on a database thread. Cancelling the caller does not undo what the function commits."""
        if not self._threads:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((lambda: function(*args, **kwargs), loop, future))
        return await future

    def _start(self) -> None:
        with self._lock:
            if not self._threads:
                self._threads = [
                    threading.Thread(
                        target=_work, args=(self._jobs,), name=f"{self._name}-{number}", daemon=True
                    )
                    for number in range(self._sizes.get(connection.vendor, 4))
                ]
                for thread in self._threads:
                    thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """End the threads and close their connections; the next call starts new ones.

        Blocks at most `timeout` seconds; a thread that has not ended by then ends with the process.
        """
        with self._lock:
            threads, self._threads = self._threads, []
            jobs, self._jobs = self._jobs, queue.SimpleQueue()
        for _ in threads:
            jobs.put(None)
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if stuck := sum(thread.is_alive() for thread in threads):
            logger.warning("%s database calls did not end within %g s.", stuck, timeout)


def _work(jobs: queue.SimpleQueue[Job | None]) -> None:
    # With DEBUG, Django would keep the text of every query, because no request ends on this thread.
    connection.make_debug_cursor = connection.make_cursor  # type: ignore[method-assign, assignment]
    _leave_pool()
    while (job := jobs.get()) is not None:
        call, loop, future = job
        result: Any = None
        error: BaseException | None = None
        try:
            _replace_ended_connection()
            result = _call(call)
        except BaseException as raised:
            error = _unavailable(raised)
            if isinstance(error, OperationalError | InterfaceError):
                # The next call on this thread needs a new connection if the database ended this one.
                for each in connections.all(initialized_only=True):
                    each.close_if_unusable_or_obsolete()
        try:
            loop.call_soon_threadsafe(_finish, future, result, error)
        except RuntimeError:
            logger.debug("The event loop closed before a database call ended.")
        # Do not keep the result or a traceback's frames alive until this thread's next job.
        del job, call, future, result, error
    connections.close_all()


def _leave_pool() -> None:
    """Connect this thread directly: it keeps its connection, so Django's pool saves nothing.

    After an outage the pool doubles its wait before each attempt to connect; a direct connection is
    made at the next call.
    """
    wrapper, options = connections["default"], connection.settings_dict["OPTIONS"]
    if "pool" in options:
        direct = {name: value for name, value in options.items() if name != "pool"}
        wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": direct}


def _call(call: Callable[[], Any]) -> Any:
    """Call.

    Retry if the database aborted the transaction in favour of others, which left no effect.

    Also retry a refused write, which left no effect either: this connection may be from before a
    failover, and a new one may reach the server that accepts writes.
    """
    for attempt in range(SACRIFICES):
        try:
            return call()
        except DatabaseError as error:
            if sqlstate(error) == READ_ONLY and attempt == 0:
                connection.close()
            elif sqlstate(error) not in SACRIFICED:
                raise
    return call()


def _unavailable(error: BaseException) -> BaseException:
    """The error, as an OperationalError if it means that the database is unavailable.

    A read-only connection is closed: it stays read-only, and a new one may reach the server that
    accepts writes.
    """
    is_named = isinstance(error, OperationalError | InterfaceError)
    if is_named or not isinstance(error, DatabaseError) or not is_passing(error):
        return error
    if sqlstate(error) == READ_ONLY:
        connection.close()
    unavailable = OperationalError(*error.args)
    unavailable.__cause__ = error.__cause__
    return unavailable


def _replace_ended_connection() -> None:
    """Close a connection that the server has ended meanwhile, before a call fails on it.

    An idle connection becomes readable only when it ends, so this check costs no round trip.
    """
    if connection.vendor == "postgresql" and connection.connection is not None:
        poll = select.poll()
        try:
            poll.register(connection.connection.fileno(), select.POLLIN)
            ended = bool(poll.poll(0))
        except (psycopg.Error, OSError):
            ended = True
        if ended:
            connection.close()


def _finish(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class DatabaseThreads:
    """The database threads of this process."""

    def __init__(self) -> None:
        self._all, self._searching = Group(THREADS, "database"), Group(SEARCHING, "searching")
        self._turns = Turns(SEARCHES_OF_USER)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function.

        Raises QueryTooSlow if it takes longer than the current time limit, and TooManySearches if it
        could not begin in that time.
        """
        seconds = current_limit()
        if seconds is None:
            return await self._all.run(function, *args, **kwargs)
        try:
            give = await self._turns.take(searcher(), seconds=time_limits.LONGEST_WAIT)
        except TooLongAwaited:
            raise TooManySearches(own=True) from None
        call = LimitedCall(partial(function, *args, **kwargs), seconds)
        return await call.made(self._searching.run, give)

    def close(self, timeout: float = 5.0) -> None:
        """End the threads and close their connections; blocks at most `timeout` seconds."""
        began = time.monotonic()
        self._searching.close(timeout)
        # Calls that were dropped give no turn back.
        self._turns = Turns(SEARCHES_OF_USER)
        self._all.close(max(0.0, timeout - (time.monotonic() - began)))


threads = DatabaseThreads()


async def in_database(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a synchronous function that uses Django's database on a database thread.

    Raises QueryTooSlow if it takes longer than the current time limit.
    """
    return await threads.run(function, *args, **kwargs)
