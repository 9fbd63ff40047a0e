"""Who hears the end of a run on one connection is not to hear it before another one has brought what comes before.

Stock clients read a thread's content and its ends on connections of their own, and stop reading the former once the
latter says that a run has ended. So whoever is sent ends without content waits until this process has written the content
to the same user's other connections on the thread: a moment, for they have the same source, and a bounded one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

#: How long an end waits for the content before it, in seconds.
PATIENCE = 2.0

#: One user's connections on one thread.
Key = tuple[int, UUID]


class Delivery:
    """How far one connection that carries content has got."""

    def __init__(self, readers: Readers, position: int, owner: object) -> None:
        self._readers = readers
        self.owner = owner
        #: The number of the event up to which everything was written.
        self.position = position
        #: Where it stood when somebody waited for it in vain; who stands still is not waited for again.
        self.stuck_at: int | None = None

    def reached(self, position: int) -> None:
        """Note that everything up to an event was written, as far as the client wants it."""
        self.position = position
        self._readers.moved()

    def is_behind(self, position: int) -> bool:
        return self.position < position and self.position != self.stuck_at


class Readers:
    """The connections that carry content for one user from one thread."""

    def __init__(self) -> None:
        self.deliveries: set[Delivery] = set()
        self._moved: asyncio.Future[None] | None = None

    def moved(self) -> None:
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None

    async def delivered(self, position: int, *, owner: object) -> None:
        """Wait until all others have got as far as an event, at most for `PATIENCE`."""
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
def delivering(user_id: int, thread_id: UUID, *, since: int, owner: object) -> Iterator[Delivery]:
    """A connection, its owner's, that carries content after an event, while the context lasts."""
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


async def delivered(user_id: int, thread_id: UUID, position: int, *, owner: object) -> None:
    """Wait until what comes before an event was written to those who read content, at most for `PATIENCE`.

    Args:
        owner: Whose end it is; nobody waits for themselves.
    """
    readers = _readers.get((user_id, thread_id))
    if readers is not None:
        await readers.delivered(position, owner=owner)
