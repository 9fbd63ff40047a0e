"""The event log, which all readers read: from memory in the process that writes, else from the
table.

A run's `RunStream` numbers its events and passes them to this process's readers at once. The hub
writes the events of all runs together, in one statement per flush. The terminal status and the last
events share a transaction (`runs.execution.settler`), and a stream always ends after it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from typing import ParamSpec, TypeVar
from uuid import UUID

from runs.conf import settings
from runs.events import table
from runs.events.buffer import RunStream
from runs.events.log_reader import is_settled
from runs.events.reading import Pace, Source, paced
from runs.events.table import START, Event, Position
from runs.exceptions import ServerClosing
from runs.process.wakeups import Wakeups
from threads.db import clock
from threads.db.database import in_database
from threads.db.errors import is_passing
from threads.db.tasks import spawn

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["START", "Event", "EventHub", "Position", "RunStream"]

logger = logging.getLogger(__name__)

#: Factor by which readers poll the log less often while wake-ups from other processes arrive.
HEARD = 10
#: How long a reader retries while the database is unavailable, and the pause between two tries, in seconds.
PATIENCE, TRY_AGAIN = 10.0, 0.2


class EventHub:
    """The streams of the runs that this process executes, their writer, and the entry point of all
    readers.
    """

    def __init__(self, wakeups: Wakeups) -> None:
        self.wakeups = wakeups
        self._streams: dict[UUID, RunStream] = {}
        self._dirty: set[RunStream] = set()
        self._urgent = asyncio.Event()
        self._writing = asyncio.Lock()
        self._readers = 0
        self._flusher: asyncio.Task[None] | None = None
        #: Whether readers were told to end, because the process is shutting down.
        self.closed = False

    def open(
        self, run_id: UUID, *, thread_id: UUID, epoch: int, first: bool, urgent: bool = False
    ) -> RunStream:
        """Begin the stream of an attempt.

        Args:
            first: Whether no earlier attempt may have left events in the log.
            urgent: Whether its readers are in other processes, so that the first event is written
                at once.
        """
        stream = RunStream(self, run_id=run_id, thread_id=thread_id, epoch=epoch, first=first, urgent=urgent)
        self._streams[run_id] = stream
        self.wakeups.ring(run_id)
        # Tells readers of the whole thread that there is a run to follow.
        self.wakeups.tell(thread_id)
        return stream

    def end(self, stream: RunStream, *, finished: bool) -> None:
        """End the stream of an attempt; its readers continue from the log, or end too."""
        stream.close(finished=finished)
        self._dirty.discard(stream)
        if self._streams.get(stream.run_id) is stream:
            del self._streams[stream.run_id]
        self.wakeups.ring(stream.run_id)
        self.wakeups.announce(stream.run_id)

    def executing(self, run_id: UUID) -> RunStream | None:
        """The stream of a run that this process executes."""
        return self._streams.get(run_id)

    # --- writing

    def written_soon(self, stream: RunStream) -> None:
        self._dirty.add(stream)
        if stream.urgent:
            self._urgent.set()
        if self._flusher is None and not self.closed:
            # A fresh context, so that the writer does not inherit the context of the run that wrote first.
            self._flusher = spawn(self._flush_soon(), "events")

    async def _flush_soon(self) -> None:
        while self._dirty and not self.closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.EVENT_FLUSH):
                    await self._urgent.wait()
            self._urgent.clear()
            try:
                await self.flush()
            except Exception as error:
                # The events stay unwritten and are retried; the settlement also writes what is left.
                logger.warning("Events could not be written, trying again: %s", error)
                await asyncio.sleep(0.5)
        self._flusher = None

    async def flush(self) -> None:
        """Write the unwritten events of all runs, in one statement."""
        async with self._writing:
            streams = [stream for stream in self._dirty if not stream.closed]
            self._dirty.clear()
            parts = {stream: stream.unwritten() for stream in streams}
            parts = {stream: part for stream, part in parts.items() if part.events}
            if not parts:
                return
            try:
                live = await in_database(table.append, list(parts.values()), now=clock.now())
            except BaseException:
                self._dirty.update(streams)
                raise
            for stream, part in parts.items():
                # A run that is not in `live` was lost; its owner notices at its next checkpoint or heartbeat.
                if (part.run_id, part.epoch) in live:
                    stream.wrote(part.events[-1].seq)
                    self.wakeups.announce(part.run_id)

    # --- reading

    def close(self) -> None:
        """End every reader, because the process is shutting down; clients reconnect and continue
        from their position.
        """
        self.closed = True
        for stream in list(self._streams.values()):
            stream.close(finished=False)
        self.wakeups.ring_all()

    async def follow(
        self, run_id: UUID, after: Position | None, *, items: bool = False
    ) -> AsyncIterator[list[Event]]:
        """Yield a run's events after a position, in batches, until the run is terminal and all were
        yielded.

        Args:
            after: `START` for all, None for those produced from now on.
            items: Whether the reader also wants items as they come, and a signal when it has all
                present events.

        An empty batch means that nothing happened for a heartbeat's time, or that there are no more
        events now. Also ends when the run does not exist, and before the first event when its log was
        removed. Raises ServerClosing when this server shuts down first, and LogRemoved when the log is
        removed meanwhile, because a normal end would tell the client that it has all events.
        """
        self._readers += 1
        try:
            with (
                self.wakeups.bell(run_id) as bell,
                closing(Source(self, run_id, bell, items=items)) as source,
            ):
                await source.begin(after)
                async for batch in paced(source, Pace(lambda: self._readers)):
                    yield batch
        finally:
            self._readers -= 1

    async def settled(self, run_id: UUID) -> None:
        """Wait until a run is terminal or deleted. Raises ServerClosing when this server shuts down
        first.
        """
        with self.wakeups.bell(run_id) as bell:
            while not self.closed:
                bell.clear()
                if (stream := self.executing(run_id)) is not None:
                    await stream.ended()
                    if stream.finished:
                        return
                elif await self.read(is_settled, run_id):
                    return
                else:
                    await bell.wait(self.poll)
        raise ServerClosing

    @property
    def poll(self) -> float:
        """How often to poll for other processes' events, in seconds: less often while wake-ups
        arrive.
        """
        return settings.EVENT_POLL * (HEARD if self.wakeups.connected else 1)

    async def read(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Read for a connected client, with retries, so that a temporary fault does not end its
        connection.

        Raises ServerClosing when the database stays unavailable, or this server shuts down.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + PATIENCE
        while True:
            try:
                return await in_database(function, *args, **kwargs)
            except Exception as error:
                if not is_passing(error):
                    raise
                if self.closed or clock() > deadline:
                    logger.warning("A reader is disconnected because the database does not answer: %s", error)
                    raise ServerClosing from error
            await asyncio.sleep(TRY_AGAIN)
