"""The events of one websocket: its subscriptions, and their delivery.

One reader follows the thread's log for all of a socket's subscriptions. The client sets the pace:
the next event is read when the previous one was sent, so that a slow client costs no memory. A new
subscription first gets the events that it missed, while the reader waits, and then shares it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, aclosing, suppress
from uuid import UUID, uuid4

from runs.api.sessions.ordering import Delivery, delivered, delivering
from runs.events.agent_stream import AgentStream
from runs.exceptions import NotFound
from runs.protocols.agent.commands import ProtocolError
from runs.protocols.agent.events import ProtocolEvent
from runs.protocols.agent.filters import Filter
from threads.db.tasks import spawn
from threads.models.querysets import Principal

#: Maximum subscriptions of one socket (stock clients have a handful), and maximum channels and namespaces in
#: total.
MOST, MOST_ENTRIES = 100, 4000
#: How long a socket's first subscription waits for others, in seconds. A reconnecting client subscribes
#: several times at once: one subscription must not report a run's end before another has delivered the run's
#: content. The wait is short, because a new client chooses its next subscriptions by what it receives.
GATHER = 0.005
#: How long a run's end waits for the first subscription to content, for the same reason, in seconds.
HOLD = 0.25

#: New subscriptions by id, each with the future of its answer.
Batch = Mapping[str, tuple[Filter, asyncio.Future[int]]]


class Subscriptions:
    """The subscriptions of a socket.

    Args:
        send: Sends a text frame; waits while the socket's write buffer is full.
        failed: Called with the reason when the events end.
    """

    def __init__(
        self,
        thread_id: UUID,
        principal: Principal,
        *,
        send: Callable[[str], Awaitable[None]],
        failed: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._thread_id = thread_id
        self._send = send
        self._failed = failed
        self._filters: dict[str, Filter] = {}
        self._joining: dict[str, tuple[Filter, asyncio.Future[int]]] = {}
        self._principal = principal
        #: This connection's progress for the user's other connections, while it carries content (`ordering`).
        self._delivery: Delivery | None = None
        self._delivering = ExitStack()
        self._joiner: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[None] | None = None
        #: Held while an event is sent, or while new subscriptions catch up.
        self._turn = asyncio.Lock()
        #: The number of the last event that was read.
        self._position = 0
        #: The number of the last event that was sent.
        self.sent = 0
        #: Set once the client has subscribed to content, or `HOLD` has passed.
        self._complete = asyncio.Event()

    async def add(self, wanted: Filter, *, principal: Principal) -> tuple[str, int]:
        """Subscribe; once past events are sent, return the subscription's id and their number.

        Args:
            principal: The socket's principal, with the filters for reading the thread.
        """
        present = [*self._filters.values(), *(each for each, _ in self._joining.values())]
        if len(present) >= MOST:
            raise ProtocolError("invalid_argument", f"A socket has at most {MOST} subscriptions.")
        if sum(each.entries for each in (*present, wanted)) > MOST_ENTRIES:
            raise ProtocolError(
                "invalid_argument",
                f"A socket's subscriptions have at most {MOST_ENTRIES} channels and namespaces.",
            )
        name = str(uuid4())
        count: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._joining[name] = (wanted, count)
        self._principal = principal
        if wanted.has_content and self._delivery is None:
            waited_for = delivering(principal.user_id, self._thread_id, since=wanted.since, owner=self)
            self._delivery = self._delivering.enter_context(waited_for)
        if self._joiner is None:
            self._joiner = spawn(self._join())
        return name, await count

    async def remove(self, name: object) -> None:
        """End a subscription. Raises ProtocolError."""
        if not isinstance(name, str) or name not in self._filters:
            raise ProtocolError("no_such_subscription", f"Unknown subscription: {str(name)[:100]}")
        del self._filters[name]
        left = [*self._filters.values(), *(wanted for wanted, _ in self._joining.values())]
        if not any(wanted.has_content for wanted in left):
            self._deliver_nothing()
        if not left:
            await self._stop_reading()

    async def close(self) -> None:
        if self._joiner is not None:
            self._joiner.cancel()
            await asyncio.wait([self._joiner])
        await self._stop_reading()
        self._deliver_nothing()

    def _deliver_nothing(self) -> None:
        self._delivering.close()
        self._delivery = None

    # --- joining

    async def _join(self) -> None:
        try:
            if self._reader is None:
                await asyncio.sleep(GATHER)
            while self._joining:
                await self._join_together(dict(self._joining))
        finally:
            self._joiner = None

    async def _join_together(self, batch: Batch) -> None:
        """Send new subscriptions the events that they missed, each once, in the thread's order."""
        filters = {name: wanted for name, (wanted, _) in batch.items()}
        since = min(wanted.since for wanted in filters.values())
        if self._reader is None:
            self._joined(filters)
            there = self._start_reading(since=since)
            # Other subscriptions may join while this one catches up.
            there.add_done_callback(lambda done: _answer(batch, done.result()))
            return
        replayed: Counter[str] = Counter()
        try:
            async with self._turn:
                replayed = await self._replay(filters, since=since)
                self._joined(filters)
            if self._delivery is not None:
                self._delivery.reached(self._position)
        except Exception as error:
            await self._failed(error)
        finally:
            for name in batch:
                self._joining.pop(name, None)
            _answer(batch, replayed)

    def _joined(self, filters: Mapping[str, Filter]) -> None:
        for name, wanted in filters.items():
            del self._joining[name]
            self._filters[name] = wanted
        if any(wanted.has_content for wanted in filters.values()):
            self._complete.set()

    async def _replay(self, filters: Mapping[str, Filter], *, since: int) -> Counter[str]:
        """Send past events, up to the reader's position; return their number by subscription."""
        stream = AgentStream(self._thread_id, principal=self._principal, since=since)
        replayed: Counter[str] = Counter()
        async with aclosing(stream.read()) as batches:
            async for batch in batches:
                for event in batch:
                    if event.seq > self._position:
                        return replayed
                    replayed.update(await self._offer(event, filters))
        return replayed

    # --- following

    def _start_reading(self, *, since: int) -> asyncio.Future[Counter[str]]:
        """Start to follow the thread; the future is resolved when all past events are sent."""
        self._position = since
        there: asyncio.Future[Counter[str]] = asyncio.get_running_loop().create_future()
        self._reader = spawn(self._read(since, there), "socket events")
        return there

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(self, since: int, there: asyncio.Future[Counter[str]]) -> None:
        # A client that has an event knows that the thread existed.
        known = since > 0
        stream = AgentStream(self._thread_id, principal=self._principal, since=since, known=known)
        replayed: Counter[str] = Counter()
        try:
            async with aclosing(stream.follow()) as batches:
                async for batch in batches:
                    if not batch and not there.done():
                        there.set_result(replayed)
                    for event in batch:
                        replayed.update(await self._tell(event))
            # The stream ends only when the thread is deleted.
            raise NotFound("The thread was deleted.")
        except Exception as error:
            await self._failed(error)
        finally:
            if not there.done():
                there.set_result(replayed)

    async def _tell(self, event: ProtocolEvent) -> list[str]:
        """Send the reader's next event if a subscription matches; return the matching ones."""
        if event.ends:
            await self._hold()
            if self._delivery is None:
                await delivered(self._principal.user_id, self._thread_id, event.seq, owner=self)
        async with self._turn:
            taken = await self._offer(event, self._filters)
            self._position = event.seq
        if self._delivery is not None:
            self._delivery.reached(event.seq)
        return taken

    async def _hold(self) -> None:
        """Hold back an event after which a client may stop reading, until it reads content too."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HOLD):
                await self._complete.wait()
        self._complete.set()

    async def _offer(self, event: ProtocolEvent, filters: Mapping[str, Filter]) -> list[str]:
        """Send an event if a subscription matches; return the matching ones."""
        taken = [
            name for name, wanted in filters.items() if event.seq > wanted.since and wanted.matches(event)
        ]
        if taken:
            await self._send(event.json())
            self.sent = max(self.sent, event.seq)
        return taken


def _answer(batch: Batch, replayed: Counter[str]) -> None:
    for name, (_, count) in batch.items():
        if not count.done():
            count.set_result(replayed[name])
