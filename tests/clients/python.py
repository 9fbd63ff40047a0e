"""The Python SDK's two clients behind one interface, which records every call."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

from langgraph_sdk import get_client, get_sync_client

#: The public parts of a client; they send by `http`.
PARTS = ("assistants", "threads", "runs", "crons", "store", "http")


def methods(client: Any) -> set[str]:
    """The public methods of a client and its parts: "threads.create", and "close" of its own."""
    own = {name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))}
    of_parts = {
        f"{part}.{name}"
        for part in vars(client)
        for name in dir(getattr(client, part))
        if not name.startswith("_") and inspect.isroutine(getattr(getattr(client, part), name))
    }
    return own | of_parts


class Loop:
    """An event loop in a separate thread, for synchronous callers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def result(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Both:
    """A sync or async client with the same interface; `calls` are the methods that were called."""

    def __init__(self, url: str, *, sync: bool) -> None:
        self.calls: set[str] = set()
        self.sync = sync
        self._loop = Loop()
        self.client: Any = (get_sync_client if sync else get_client)(url=url, api_key=None)

    def __getattr__(self, part: str) -> _Part:
        return _Part(self, part)

    def call(self, name: str, method: Any, /, *args: Any, **options: Any) -> Any:
        """Call a method; streams are returned as iterators."""
        self.calls.add(name)
        given = method(*args, **options)
        if inspect.iscoroutine(given):
            given = self._loop.result(given)
        return self._iterate(given) if hasattr(given, "__anext__") else given

    def _iterate(self, stream: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(stream, self)

        async def close() -> None:
            await stream.aclose()  # type: ignore[attr-defined]

        try:
            while (part := self._loop.result(following())) is not self:
                yield part
        finally:
            self._loop.result(close())

    def close(self) -> None:
        self.call("close" if self.sync else "aclose", self.client.close if self.sync else self.client.aclose)
        self._loop.close()


class _Part:
    def __init__(self, both: Both, name: str) -> None:
        self._both, self._name = both, name

    def __getattr__(self, method: str) -> Any:
        found = getattr(getattr(self._both.client, self._name), method)

        def call(*args: Any, **options: Any) -> Any:
            return self._both.call(f"{self._name}.{method}", found, *args, **options)

        return call
