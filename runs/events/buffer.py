"""The events of one attempt of one run, in the process that executes it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from runs.conf import settings
from runs.events.table import Event, Part, Position
from runs.protocols.agent.items import PACK, pack

logger = logging.getLogger(__name__)

#: Memory for one run's events that readers here may still want, in bytes of JSON.
BUFFER_BYTES = 4 * 1024 * 1024
#: Most items of a row, and about how many bytes of them.
PACK_ITEMS, PACK_BYTES = 256, 64 * 1024
#: How long a run waits whose events the log refuses, before it tries again, in seconds.
REFUSED_PAUSE = 0.05


class Writer(Protocol):
    """Who writes the events of all runs to the log."""

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
        #: Whether its first event is waited for in another process, and is not written yet.
        self.urgent = urgent
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
        self._items: list[str] = []
        self._items_bytes = 0
        #: Readers of this process who want items as they come, not when their row is written.
        self.watchers = 0
        self._changed: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self._limit = settings.EVENT_BUFFER

    def note(self, item: str) -> None:
        """Take what nobody asked for by name; it shares a row with what comes until the next event, or the next flush."""
        if self.watchers and not self._items:
            asyncio.get_running_loop().call_soon(self._seal)
        self._items.append(item)
        self._items_bytes += len(item)
        if len(self._items) >= PACK_ITEMS or self._items_bytes >= PACK_BYTES:
            self._seal()
        self._hub.written_soon(self)

    def watch(self) -> None:
        """Let a reader have items as they come."""
        self.watchers += 1
        self._seal()

    def _seal(self) -> None:
        """Make a row of the items that wait for one."""
        if self._items:
            items, self._items, self._items_bytes = self._items, [], 0
            self._append(PACK, pack(items))

    def append(self, name: str, data: str) -> None:
        """Number an event and show it to readers of this process."""
        self._seal()
        self._append(name, data)
        self._hub.written_soon(self)

    def _append(self, name: str, data: str) -> None:
        self.count += 1
        self._buffer.append(Event(self.epoch, self.count, name, data))
        self._bytes += len(data)
        self._notify()

    async def room(self) -> None:
        """Wait while more is unwritten than memory should hold: a slow log slows the run, it does not fill memory."""
        while not self.closed and self.full and self._written < self.count:
            written = self._written
            try:
                await self._hub.flush()
                if self._written == written:
                    # The log refuses them: the run was lost or deleted, and its owner is about to hear of it.
                    await asyncio.sleep(REFUSED_PAUSE)
            except Exception as error:
                logger.warning("Events could not be written, the run waits: %s", error)
                await asyncio.sleep(0.5)
            self.forget()

    def unwritten(self) -> Part:
        """What the log does not have yet."""
        self._seal()
        new = self.count - self._written
        events = (
            [self._buffer[index] for index in range(len(self._buffer) - new, len(self._buffer))]
            if new
            else []
        )
        return Part(self.run_id, self._thread_id, self.epoch, events)

    def with_last(self, last: Sequence[tuple[str, str]]) -> tuple[Part, list[Event]]:
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
        self.urgent = False
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

    def rest(self, position: Position) -> list[Event]:
        """What memory has after a position, however far back it reaches."""
        return [event for event in self._buffer if event.position > position]

    async def changed(self, timeout: float) -> None:
        """Wait for an event or the end, at most `timeout` seconds."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._changed], timeout=timeout)

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None
