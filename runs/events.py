"""The event log: every reader's only source, at once from memory in the process that writes, else from the table.

A run's events are numbered by its `RunStream` and shown to this process's readers at once; the hub writes those of
all runs together, one statement per flush. The terminal status and the last events share a transaction
(`settlement.py`), and a stream ends after it, never before.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import AsyncIterator
from uuid import UUID

from django.utils import timezone

from runs import event_store
from runs.conf import settings
from runs.event_store import START, Event, Part, Position
from runs.exceptions import ServerClosing
from runs.models import Run
from runs.querysets import TERMINAL
from runs.wakeups import Wakeups
from threads.database import in_database

__all__ = ["START", "Event", "EventHub", "Position", "RunStream"]

logger = logging.getLogger(__name__)

#: A fast stream is read in batches, for a wake-up and a write per token and reader cost several times the token:
#: after this many events without a rest a reader pauses between batches, this many seconds for each reader of this
#: process, within these bounds. (Measured: docs/benchmarks.md.)
BURST = 8
PAUSE_EACH, PAUSE, LONGEST_PAUSE = 0.001, 0.01, 0.05
#: Memory for one run's events that readers here may still want, in bytes of JSON.
BUFFER_BYTES = 4 * 1024 * 1024


class RunStream:
    """The events of one attempt of one run, in the process that executes it. Its memory is bounded."""

    def __init__(self, hub: EventHub, *, run_id: UUID, thread_id: UUID, epoch: int, first: bool) -> None:
        self.run_id = run_id
        self.epoch = epoch
        #: Whether no earlier attempt may have left events in the log.
        self.first = first
        #: After the terminal status was committed with the last events.
        self.finished = False
        self.closed = False
        #: The body of `wait` and `join`, when it finished.
        self.result: str | None = None
        self.count = 0
        self._hub = hub
        self._thread_id = thread_id
        self._buffer: deque[Event] = deque()
        self._bytes = 0
        self._written = 0
        self._changed: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._limit = settings.EVENT_BUFFER

    def append(self, name: str, data: str) -> None:
        """Number an event and show it to readers of this process."""
        self.count += 1
        self._buffer.append(Event(self.epoch, self.count, name, data))
        self._bytes += len(data)
        self._notify()
        self._hub.written_soon(self)

    async def room(self) -> None:
        """Wait while more is unwritten than memory should hold: a slow log slows the run, it does not fill memory."""
        while not self.closed and self.full and self._written < self.count:
            try:
                await self._hub.flush()
            except Exception as error:
                logger.warning("Events could not be written, the run waits: %s", error)
                await asyncio.sleep(0.5)
            self.forget()

    def unwritten(self) -> Part:
        """What the log does not have yet."""
        new = self.count - self._written
        events = (
            [self._buffer[index] for index in range(len(self._buffer) - new, len(self._buffer))]
            if new
            else []
        )
        return Part(self.run_id, self._thread_id, self.epoch, events)

    def with_last(self, last: list[tuple[str, str]]) -> tuple[Part, list[Event]]:
        """What the log does not have yet, followed by the run's last events, and these, which are not shown yet."""
        part = self.unwritten()
        events = [
            Event(self.epoch, self.count + number, name, data)
            for number, (name, data) in enumerate(last, start=1)
        ]
        return Part(part.run_id, part.thread_id, part.epoch, [*part.events, *events]), events

    def show(self, last: list[Event]) -> None:
        """Show the run's last events, which the log has by now."""
        self._buffer.extend(last)
        self._bytes += sum(len(event.data) for event in last)
        self.count += len(last)
        self._written = self.count

    def wrote(self, count: int) -> None:
        """Note that the log has the first `count` events."""
        self._written = max(self._written, count)
        self.forget()

    def forget(self) -> None:
        """Drop the oldest events that the log has, beyond the buffer's size; slow readers read the log instead."""
        while self.full and self._buffer and self._buffer[0].seq <= self._written:
            self._bytes -= len(self._buffer.popleft().data)

    @property
    def full(self) -> bool:
        """Whether the buffer holds more than it should."""
        return len(self._buffer) > self._limit or self._bytes > BUFFER_BYTES

    def close(self, *, finished: bool) -> None:
        """End the attempt's stream; `finished` when its terminal status is committed."""
        self.closed, self.finished = True, finished
        self._ended.set()
        self._notify()

    async def ended(self) -> None:
        """Wait until this attempt is over."""
        await self._ended.wait()

    def after(self, position: Position) -> list[Event] | None:
        """The events after a position of this attempt; None when memory does not reach back that far."""
        seq = position[1]
        if seq >= self.count:
            return []
        oldest = self._buffer[0].seq if self._buffer else self.count + 1
        if seq + 1 < oldest:
            return None
        return [self._buffer[index] for index in range(seq + 1 - oldest, len(self._buffer))]

    async def changed(self, timeout: float) -> None:
        """Wait for an event or the end, at most `timeout` seconds."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._changed], timeout=timeout)

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None


class EventHub:
    """The streams of the runs that this process executes, their writer, and every reader's entrance."""

    def __init__(self, wakeups: Wakeups) -> None:
        self.wakeups = wakeups
        self._streams: dict[UUID, RunStream] = {}
        self._dirty: set[RunStream] = set()
        self._writing = asyncio.Lock()
        self._readers = 0
        self._flusher: asyncio.Task[None] | None = None
        #: Whether readers were told to end, for the process is about to.
        self.closed = False

    def open(self, run_id: UUID, *, thread_id: UUID, epoch: int, first: bool) -> RunStream:
        """Begin the stream of an attempt."""
        stream = RunStream(self, run_id=run_id, thread_id=thread_id, epoch=epoch, first=first)
        self._streams[run_id] = stream
        self.wakeups.ring(run_id)
        return stream

    def end(self, stream: RunStream, *, finished: bool) -> None:
        """End the stream of an attempt; its readers go on to the log, or end with it."""
        stream.close(finished=finished)
        self._dirty.discard(stream)
        if self._streams.get(stream.run_id) is stream:
            del self._streams[stream.run_id]
        self.wakeups.ring(stream.run_id)

    def executing(self, run_id: UUID) -> RunStream | None:
        """The stream of a run that this process executes."""
        return self._streams.get(run_id)

    # --- writing

    def written_soon(self, stream: RunStream) -> None:
        self._dirty.add(stream)
        if self._flusher is None and not self.closed:
            # A fresh context: the writer must not live in that of whichever run wrote first.
            self._flusher = asyncio.create_task(
                self._flush_soon(), name="events", context=contextvars.Context()
            )

    async def _flush_soon(self) -> None:
        while self._dirty and not self.closed:
            await asyncio.sleep(settings.EVENT_FLUSH)
            try:
                await self.flush()
            except Exception as error:
                # The events stay unwritten and are tried again; the settlement needs them written too.
                logger.warning("Events could not be written, trying again: %s", error)
                await asyncio.sleep(0.5)
        self._flusher = None

    async def flush(self) -> None:
        """Write what is unwritten of all runs, in one statement."""
        async with self._writing:
            streams = [stream for stream in self._dirty if not stream.closed]
            self._dirty.clear()
            parts = {stream: stream.unwritten() for stream in streams}
            parts = {stream: part for stream, part in parts.items() if part.events}
            if not parts:
                return
            try:
                live = await in_database(event_store.append, list(parts.values()), now=timezone.now())
            except BaseException:
                self._dirty.update(streams)
                raise
            for stream, part in parts.items():
                # A run that is not live any more was lost; its owner learns it from its next checkpoint or heartbeat.
                if part.run_id in live:
                    stream.wrote(part.events[-1].seq)

    # --- reading

    def close(self) -> None:
        """End every reader, for the process is about to end; clients reconnect and go on where they were."""
        self.closed = True
        for stream in list(self._streams.values()):
            stream.close(finished=False)
        self.wakeups.ring_all()

    async def follow(self, run_id: UUID, after: Position | None) -> AsyncIterator[list[Event]]:
        """Yield a run's events after a position, in batches, until it is terminal and everything was yielded.

        Args:
            after: `START` for all, None for those produced from now on.

        An empty batch says that nothing happened for a heartbeat's time. Ends as well when the run does not exist.
        Raises ServerClosing when this server ends first: a stream that ended like any other would tell its client
        that the run has.
        """
        self._readers += 1
        try:
            async for batch in self._follow(run_id, after):
                yield batch
        finally:
            self._readers -= 1

    async def _follow(self, run_id: UUID, after: Position | None) -> AsyncIterator[list[Event]]:
        clock = asyncio.get_running_loop().time
        position = await self._tail(run_id) if after is None else after
        stream: RunStream | None = None
        rested, burst = clock(), 0
        while not self.closed:
            # A finished attempt's memory still has its last events, also when the hub has let it go.
            stream = self._streams.get(run_id) or (stream if stream and stream.finished else None)
            if stream is not None:
                batch, position = await self._of_stream(stream, run_id, position)
            else:
                # In this order: the last events are in the log before the status is terminal.
                terminal = await in_database(is_settled, run_id)
                batch = await in_database(event_store.read, run_id, position)
                if terminal and not batch:
                    return
            now = clock()
            if batch:
                position, rested, burst = batch[-1].position, now, burst + len(batch)
                yield batch
                if burst > BURST:
                    await asyncio.sleep(min(LONGEST_PAUSE, max(PAUSE, PAUSE_EACH * self._readers)))
                continue
            if now - rested >= settings.STREAM_HEARTBEAT:
                rested = now
                yield []
            elif stream is None or (stream.closed and not stream.finished):
                await self.wakeups.wait(run_id, settings.EVENT_POLL)
            elif stream.finished and position >= (stream.epoch, stream.count):
                return
            else:
                await stream.changed(rested + settings.STREAM_HEARTBEAT - now)
            if clock() - now >= PAUSE:
                burst = 0
        raise ServerClosing

    async def _of_stream(
        self, stream: RunStream, run_id: UUID, position: Position
    ) -> tuple[list[Event], Position]:
        """The next events of a run that executes here, and the position that they follow."""
        if position[0] < stream.epoch:
            earlier = [] if stream.first else await in_database(event_store.read, run_id, position)
            earlier = [event for event in earlier if event.epoch < stream.epoch]
            if earlier:
                return earlier, position
            position = (stream.epoch, 0)
        batch = stream.after(position)
        if batch is None:
            batch = await in_database(event_store.read, run_id, position)
        return batch, position

    async def _tail(self, run_id: UUID) -> Position:
        stream = self._streams.get(run_id)
        if stream is not None:
            return (stream.epoch, stream.count)
        return await in_database(event_store.last_position, run_id)


def is_settled(run_id: UUID) -> bool:
    """Whether a run is terminal or gone."""
    status = Run.objects.filter(id=run_id).values_list("status", flat=True).first()
    return status is None or status in TERMINAL
