"""Following one run: the source of its next events, and the pace at which they are passed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

from runs.conf import settings
from runs.events import table
from runs.events.buffer import RunStream
from runs.events.endings import last_position
from runs.events.log_reader import LogReader
from runs.events.table import Event, Position
from runs.exceptions import ServerClosing
from runs.process.wakeups import Bell

if TYPE_CHECKING:
    from runs.events.hub import EventHub

#: A fast stream is read in batches, because a wake-up and a write per token and reader cost several times the
#: token. After this many events without a pause, a reader pauses between batches: this many seconds for each
#: reader of this process, within these bounds. (Measured: docs/reference/benchmarks.md.)
BURST = 8
PAUSE_EACH, PAUSE, LONGEST_PAUSE = 0.001, 0.01, 0.05


async def paced(source: Source, pace: Pace) -> AsyncIterator[list[Event]]:
    """Yield the events of a run in batches, an empty one for each heartbeat. Raises ServerClosing
    when this server shuts down, and LogRemoved like `LogReader.next`.
    """
    while not source.closed:
        batch = await source.next()
        if batch:
            yield batch
            await pace.rest(len(batch))
        elif source.ended:
            return
        elif pace.due or source.first_caught_up():
            pace.beat()
            yield []
        else:
            await pace.wait(source.changed(pace.patience))
    raise ServerClosing


class Pace:
    """The pace of a run's reader: batches for a fast stream, heartbeats for a quiet one.

    Args:
        readers: Returns how many readers this process has.
    """

    def __init__(self, readers: Callable[[], int]) -> None:
        self._readers = readers
        self._clock = asyncio.get_running_loop().time
        self._burst = 0
        self._beat_at = self._clock()

    @property
    def patience(self) -> float:
        """Seconds until the next heartbeat."""
        return self._beat_at + settings.STREAM_HEARTBEAT - self._clock()

    @property
    def due(self) -> bool:
        """Whether nothing was sent for a heartbeat's time."""
        return self.patience <= 0

    def beat(self) -> None:
        """Record that something is sent."""
        self._beat_at = self._clock()

    async def rest(self, count: int) -> None:
        """Pause after a batch of events, once a stream has continued for some time without a pause."""
        self.beat()
        self._burst += count
        if self._burst > BURST:
            await asyncio.sleep(min(LONGEST_PAUSE, max(PAUSE, PAUSE_EACH * self._readers())))

    async def wait(self, change: Awaitable[object]) -> None:
        """Wait for a change; a stream whose reader had to wait is not a fast one."""
        began = self._clock()
        await change
        if self._clock() - began >= PAUSE:
            self._burst = 0


class Source:
    """The next events of a run: from memory in the process that executes it, else from the log.

    Args:
        bell: Rung when the run has changed.
        items: Whether the reader also wants items as they come, and a signal when it has all
            present events.
    """

    def __init__(self, hub: EventHub, run_id: UUID, bell: Bell, *, items: bool = False) -> None:
        self._hub = hub
        self._run_id = run_id
        self._bell = bell
        self._items = items
        self._told = not items
        self._watched: RunStream | None = None
        self._stream: RunStream | None = None
        self._position: Position = table.START
        self._log = LogReader(run_id)
        #: Whether the run is terminal or deleted, and its reader has all its events.
        self.ended = False

    @property
    def closed(self) -> bool:
        """Whether this server shuts down, and the reader must continue elsewhere.

        Not if this process has just ended the run: its last events are in memory, and its reader gets
        them, and the end.
        """
        return self._hub.closed and not (self._stream is not None and self._stream.finished)

    async def begin(self, after: Position | None) -> None:
        """Begin after a position; None for after the newest event."""
        if after is not None:
            self._position = after
        elif (stream := self._hub.executing(self._run_id)) is not None:
            self._position = (stream.epoch, stream.count)
        else:
            self._position = await self._hub.read(last_position, self._run_id)

    async def next(self) -> list[Event]:
        """Return the present events; none if there are none, or if the run has ended."""
        self._bell.clear()
        # A finished attempt's memory still has its last events, even after the hub has dropped it.
        kept = self._stream if self._stream is not None and self._stream.finished else None
        self._stream = self._hub.executing(self._run_id) or kept
        if self._stream is not None and self._position[0] > self._stream.epoch:
            # The reader has seen a later attempt: this process has lost the run, and has not noticed it yet.
            self._stream = None
        self._watch(self._stream)
        batch = await (self._of_log() if self._stream is None else self._of_stream(self._stream))
        if batch:
            self._position = batch[-1].position
        return batch

    def first_caught_up(self) -> bool:
        """Whether the reader has all present events, and was not told so yet."""
        if self._told or (self._stream is not None and self._stream.finished):
            return False
        self._told = True
        return True

    async def changed(self, timeout: float) -> None:
        """Wait until there may be more events, at most `timeout` seconds."""
        if self._stream is None or (self._stream.closed and not self._stream.finished):
            await self._bell.wait(min(self._hub.poll, timeout))
        else:
            await self._stream.changed(timeout)

    def close(self) -> None:
        self._watch(None)

    def _watch(self, stream: RunStream | None) -> None:
        """Tell the stream that this reader wants items as they come."""
        if self._items and stream is not self._watched:
            if self._watched is not None:
                self._watched.watchers -= 1
            self._watched = stream
            if stream is not None:
                stream.watch()

    async def _of_log(self) -> list[Event]:
        batch = await self._hub.read(self._log.next, self._position)
        self.ended = self._log.ended
        return batch

    async def _of_stream(self, stream: RunStream) -> list[Event]:
        """The next events of a run that this process executes."""
        if stream.finished:
            # From now on its log may be removed.
            self._log.end = (stream.epoch, stream.count)
        if self._position[0] < stream.epoch:
            if not stream.first:
                if stream.finished:
                    return await self._of_log()
                earlier = await self._hub.read(table.read, self._run_id, self._position)
                if earlier := [event for event in earlier if event.epoch < stream.epoch]:
                    return earlier
            self._position = (stream.epoch, 0)
        batch = stream.after(self._position)
        if batch is None:
            if stream.finished:
                return await self._of_log()
            batch = await self._hub.read(table.read, self._run_id, self._position)
        self.ended = not batch and stream.finished and self._position >= (stream.epoch, stream.count)
        return batch
