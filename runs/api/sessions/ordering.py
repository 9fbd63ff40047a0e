"""Orders events across a user's connections: a run's end is sent only after its content.

Stock clients read a thread's content and its runs' ends on separate connections. They stop reading
content when the other connection reports the end of a run. So a connection that carries ends but no
content waits until this process has written the content to the same user's other connections on the
thread. The wait is short, because all connections have the same source, and it is bounded.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from threads.db.ids import UserId

#: How long a run's end waits for the content before it, in seconds.
PATIENCE = 2.0

#: Of how many users and threads the last end is remembered.
MOST_ENDS = 10_000

#: One user's connections on one thread.
Key = tuple[int, UUID]


class Delivery:
    """The progress of one connection that carries content."""

    def __init__(self, readers: Readers, position: int, owner: object) -> None:
        self._readers = readers
        self.owner = owner
        #: The number of the last event that was written.
        self.position = position
        #: The position at the last wait that timed out; a stalled reader is skipped.
        self.stuck_at: int | None = None

    def reached(self, position: int) -> None:
        """Note that everything that the client wants, up to an event, was written."""
        self.position = position
        self._readers.moved()

    def is_behind(self, position: int) -> bool:
        return self.position < position and self.position != self.stuck_at


class Readers:
    """The connections that carry one thread's content to one user."""

    def __init__(self) -> None:
        self.deliveries: set[Delivery] = set()
        self._moved: asyncio.Future[None] | None = None

    def moved(self) -> None:
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None

    async def delivered(self, position: int, *, owner: object) -> None:
        """Wait until all other connections have reached an event, at most for `PATIENCE`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while late := [
            each for each in self.deliveries if each.owner is not owner and each.is_behind(position)
        ]:
            left = deadline - loop.time()
            if left <= 0:
                for each in late:
                    each.stuck_at = each.position
                return
            if self._moved is None:
                self._moved = loop.create_future()
            await asyncio.wait([self._moved], timeout=left)


_readers: dict[Key, Readers] = {}


@contextmanager
def delivering(user_id: UserId, thread_id: UUID, *, since: int, owner: object) -> Iterator[Delivery]:
    """Register a connection that carries content after event `since`, while the context lasts."""
    key = (user_id, thread_id)
    readers = _readers.setdefault(key, Readers())
    delivery = Delivery(readers, since, owner)
    readers.deliveries.add(delivery)
    try:
        yield delivery
    finally:
        readers.deliveries.discard(delivery)
        if not readers.deliveries:
            del _readers[key]
        readers.moved()


async def delivered(user_id: UserId, thread_id: UUID, position: int, *, owner: object) -> None:
    """Wait, at most for `PATIENCE`, until the user's readers have the content before an event.

    Args:
        owner: The connection that waits; its own deliveries are ignored.
    """
    readers = _readers.get((user_id, thread_id))
    if readers is not None:
        await readers.delivered(position, owner=owner)


#: The last end that a stream of this process has written to a user, by thread; the latest are kept.
_ends: OrderedDict[Key, int] = OrderedDict()


def note_end(user_id: UserId, thread_id: UUID, seq: int) -> None:
    """Note that a user has received a run's end."""
    key = (user_id, thread_id)
    _ends[key] = max(seq, _ends.pop(key, 0))
    if len(_ends) > MOST_ENDS:
        _ends.popitem(last=False)


def end_received(user_id: UserId, thread_id: UUID) -> int:
    """The number of the last end that a user has received from this process; 0 if none is known."""
    return _ends.get((user_id, thread_id), 0)
