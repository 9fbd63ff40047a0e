"""The events of one attempt, in the process that executes it: kept in memory for this process's readers.

`EventHub.flush` (`runs.events.hub`) writes the events of all attempts to the log together, after at most
`EVENT_FLUSH` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol
from uuid import UUID

from runs.conf import settings
from runs.events.deltas import LARGE, Shortener
from runs.events.table import Event, Part, Position
from runs.protocols.agent.items import PACK, pack

logger = logging.getLogger(__name__)

#: Memory for one run's events that readers of this process may still need, in bytes of JSON.
BUFFER_BYTES = 4 * 1024 * 1024
#: Largest number of items in a row, and about how many bytes they may have.
PACK_ITEMS, PACK_BYTES = 256, 64 * 1024
#: Pause before a run retries events that the log refused, in seconds.
REFUSED_PAUSE = 0.05


class Writer(Protocol):
    """Writes the events of all runs to the log."""

    def written_soon(self, stream: RunStream) -> None: ...

    async def flush(self) -> None: ...


class RunStream:
    """The events of one attempt of one run, in the process that executes it. Its memory is bounded."""

    def __init__(
        self, hub: Writer, *, run_id: UUID, thread_id: UUID, epoch: int, first: bool, urgent: bool = False
    ) -> None:
        self.run_id = run_id
        self.epoch = epoch
        #: Whether no earlier attempt may have left events in the log.
        self.first = first
        #: Whether a reader in another process waits for the first event, which is not written yet.
        self.urgent = urgent
        #: True once the terminal status was committed with the last events.
        self.finished = False
        self.closed = False
        #: The body of `wait` and `join`, once it has finished.
        self.result: str | None = None
        self.count = 0
        self._hub = hub
        self._thread_id = thread_id
        self._buffer: deque[Event] = deque()
        self._bytes = 0
        self._written = 0
        self._unwritten_bytes = 0
        self._shortener = Shortener()
        #: How unwritten events are stored that repeat earlier ones, by their numbers.
        self._short: dict[int, str] = {}
        self._items: list[str] = []
        self._items_bytes = 0
        #: The number of this process's readers that want items as they come, not when their row is complete.
        self.watchers = 0
        self._changed: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._limit = settings.EVENT_BUFFER

    def note(self, item: str) -> None:
        """Add an item. It shares a row with the items that follow until the next event or flush."""
        if self.watchers and not self._items:
            asyncio.get_running_loop().call_soon(self._seal)
        if len(item) >= LARGE:
            # Alone in its row it is like the one before it.
            self._seal()
        self._items.append(item)
        self._items_bytes += len(item)
        if len(self._items) >= PACK_ITEMS or self._items_bytes >= PACK_BYTES or len(item) >= LARGE:
            self._seal()
        self._hub.written_soon(self)

    def watch(self) -> None:
        """Give a reader items as they come."""
        self.watchers += 1
        self._seal()

    def _seal(self) -> None:
        """Make a row of the waiting items."""
        if self._items:
            items, self._items, self._items_bytes = self._items, [], 0
            self._append(PACK, pack(items))

    def append(self, name: str, data: str) -> None:
        """Number an event and pass it to readers of this process."""
        self._seal()
        self._append(name, data)
        self._hub.written_soon(self)

    def _append(self, name: str, data: str) -> None:
        self.count += 1
        if (short := self._shortener.short(self.count, name, data)) is not None:
            self._short[self.count] = short
        self._buffer.append(Event(self.epoch, self.count, name, data))
        self._bytes += len(data)
        self._unwritten_bytes += len(data)
        self.forget()
        self._notify()

    async def room(self) -> None:
        """Wait while more is unwritten than memory should hold, so that a slow log slows the run
        and does not fill memory.
        """
        while not self.closed and self.full:
            written = self._written
            try:
                await self._hub.flush()
                if self._written == written:
                    # The log refuses them: the run was lost or deleted, and its owner is about to notice.
                    await asyncio.sleep(REFUSED_PAUSE)
            except Exception as error:
                logger.warning("Events could not be written, the run waits: %s", error)
                await asyncio.sleep(0.5)

    def unwritten(self) -> Part:
        """The events that the log does not have yet."""
        self._seal()
        new = self.count - self._written
        unwritten = [self._buffer[index] for index in range(len(self._buffer) - new, len(self._buffer))]
        events = [event._replace(data=self._short.get(event.seq, event.data)) for event in unwritten]
        return Part(self.run_id, self._thread_id, self.epoch, events)

    def with_last(self, last: Sequence[tuple[str, str]]) -> tuple[Part, list[Event]]:
        """The unwritten events followed by the run's last events; and the last events, which
        readers have not received yet.
        """
        part = self.unwritten()
        events = [
            Event(self.epoch, self.count + number, name, data)
            for number, (name, data) in enumerate(last, start=1)
        ]
        return Part(part.run_id, part.thread_id, part.epoch, [*part.events, *events]), events

    def show(self, last: list[Event]) -> None:
        """Pass the run's last events to readers; the log has them by now."""
        self._buffer.extend(last)
        self._bytes += sum(len(event.data) for event in last)
        self.count += len(last)
        self._written, self._unwritten_bytes = self.count, 0

    def wrote(self, count: int) -> None:
        """Note that the log has the first `count` events."""
        if count > self._written:
            new = islice(reversed(self._buffer), self.count - count, self.count - self._written)
            self._unwritten_bytes -= sum(len(event.data) for event in new)
            self._written = count
        self._short = {seq: short for seq, short in self._short.items() if seq > self._written}
        self.urgent = False
        self.forget()

    def forget(self) -> None:
        """Drop the oldest written events beyond the buffer's size; slow readers read the log
        instead.
        """
        while (len(self._buffer) > self._limit or self._bytes > BUFFER_BYTES) and (
            self._buffer[0].seq <= self._written
        ):
            self._bytes -= len(self._buffer.popleft().data)

    @property
    def full(self) -> bool:
        """Whether more is unwritten than memory should hold."""
        return self.count - self._written > self._limit or self._unwritten_bytes > BUFFER_BYTES

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
