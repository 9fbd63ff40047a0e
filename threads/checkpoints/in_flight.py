"""InFlight: the writes of one writer that have begun and not ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from threads.checkpoints.rows import Sealed

T = TypeVar("T")


class InFlight:
    """Counts writes, and refuses new ones once it is sealed."""

    def __init__(self) -> None:
        self.sealed = False
        self._writes: set[asyncio.Future[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether a write is in flight."""
        return bool(self._writes)

    def require_open(self) -> None:
        """Raise Sealed if writes are refused."""
        if self.sealed:
            raise Sealed

    async def quiesce(self) -> None:
        """Wait until no write is in flight. Unless sealed, a new one may begin meanwhile."""
        while self._writes:
            await asyncio.wait(self._writes)

    async def begun(self, write: Coroutine[Any, Any, T]) -> T:
        """Count a write before it is submitted: its task may be cancelled while it waits."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writes.add(ended)
        try:
            return await write
        finally:
            self._writes.discard(ended)
            ended.set_result(None)

    async def landed(self, future: asyncio.Future[None], *, on_failure: Callable[[Exception], None]) -> None:
        """Wait for a submitted write, which lands even if the caller is cancelled."""

        def ended(future: asyncio.Future[None]) -> None:
            self._writes.discard(future)
            if isinstance(error := future.exception(), Exception):
                on_failure(error)

        self._writes.add(future)
        future.add_done_callback(ended)
        await shielded(future)


async def shielded(future: asyncio.Future[T]) -> T:
    """Wait for a future without cancelling it.

    A cancellation of the caller is delivered afterwards.
    """
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()
        raise cancelled
    return future.result()
