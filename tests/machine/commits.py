"""A process's checkpoint writer that crashes or freezes on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from threads.checkpoints import Fenced, Rows
from threads.checkpoints.commits import GroupCommit

T = TypeVar("T")


class Commits:
    """Replaces the storage's checkpoint writer; it crashes at a write, or holds writes."""

    def __init__(self, real: GroupCommit, changed: Callable[[], None]) -> None:
        self.real = real
        self.retry_seconds = real.retry_seconds
        self.dead = False
        self.frozen = False
        #: Calls of the savers that have not returned.
        self.calls = 0
        #: The number of writes until the process crashes, and whether the last one lands; None for no crash.
        self.fuse: int | None = None
        self.lands = False
        self._held: list[tuple[Rows, asyncio.Future[None]]] = []
        self._changed = changed

    @property
    def holding(self) -> bool:
        return bool(self._held)

    @property
    def idle(self) -> bool:
        """Whether no write is in flight except held ones."""
        return self.calls == len(self._held)

    def counted(self, call: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
        """Count the calls of a saver's method, because LangGraph does not await all of them."""

        async def counting(*args: Any, **kwargs: Any) -> T:
            self.calls += 1
            try:
                return await call(*args, **kwargs)
            finally:
                self.calls -= 1
                self._changed()

        return counting

    def submit(self, rows: Rows) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.fuse is not None and not self.dead:
            self.fuse -= 1
            if self.fuse == 0:
                self.dead = True
                if self.lands:
                    self._land(rows, answer)
                    return answer
        if self.dead:
            answer.set_exception(Fenced("This process died."))
            self._changed()
        elif self.frozen:
            self._held.append((rows, answer))
            self._changed()
        else:
            self._land(rows, answer)
        return answer

    def _land(self, rows: Rows, answer: asyncio.Future[None]) -> None:
        def landed(done: asyncio.Future[None]) -> None:
            error = done.exception() or (Fenced("This process died.") if self.dead else None)
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)

        self.real.submit(rows).add_done_callback(landed)

    def wake(self) -> None:
        """Resume: held writes are written now."""
        self.frozen = False
        held, self._held = self._held, []
        for rows, answer in held:
            self._land(rows, answer)

    async def close(self) -> None:
        self.dead = True
        held, self._held = self._held, []
        for _, answer in held:
            answer.set_exception(Fenced("This process died."))
        await self.real.close()
