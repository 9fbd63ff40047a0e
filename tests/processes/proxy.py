"""A TCP proxy between a server process and its database, which a test can make slow, silent or broken."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as NotInTime
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Any, Self, TypeVar

CHUNK = 64 * 1024
#: The most chunks in transit in one direction of a connection; no more are read meanwhile.
IN_FLIGHT = 64
RESET = struct.pack("ii", 1, 0)

T = TypeVar("T")


class Proxy:
    """Forwards bytes between its own port and another one of loopback, in a separate thread.

    A silent proxy behaves like a network partition in TCP: connections stay open, and nothing
    arrives, not even the other end's close. Bytes sent meanwhile arrive once the network is healed.
    (The kernel's keepalives do not detect it, because they end at the proxy.) All methods are
    thread-safe.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        #: The number of accepted connections.
        self.accepted = 0
        self._delays = {"up": 0.0, "down": 0.0}
        self._flowing: dict[str, asyncio.Event] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._do(self._open())

    # --- interface for tests

    def delay(self, *, up: float = 0.0, down: float = 0.0) -> None:
        """Delay bytes by this many seconds, on the way up to the target and down from it."""
        self._delays = {"up": up, "down": down}

    def silence(self, *, up: bool = True, down: bool = True) -> None:
        """Stop forwarding in these directions; no connection is closed, and no end is notified."""
        self._do(self._set_flowing(up=not up, down=not down))

    def refuse(self) -> None:
        """Refuse new connections; open ones stay."""
        self._do(self._close_server())

    def cut(self) -> int:
        """Reset every open connection at both ends; return the number of sockets."""
        return self._do(self._cut())

    def heal(self, *, reset: bool = False) -> None:
        """Forward everything again, delayed bytes first.

        Args:
            reset: Reset earlier connections instead, like a router that has lost its state.
        """
        self.delay()
        if reset:
            self.cut()
        self._do(self._heal())

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._writers) // 2

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- in the proxy's own loop

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
        except NotInTime:
            raise AssertionError("The proxy does not answer.") from None

    async def _open(self) -> None:
        self._flowing = {"up": asyncio.Event(), "down": asyncio.Event()}
        await self._heal()

    async def _heal(self) -> None:
        await self._set_flowing(up=True, down=True)
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _set_flowing(self, *, up: bool, down: bool) -> None:
        for name, flows in (("up", up), ("down", down)):
            (self._flowing[name].set if flows else self._flowing[name].clear)()

    async def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self) -> int:
        cut = list(self._writers)
        for writer in cut:
            # Closing with this option sends a reset at once, even with unsent bytes.
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, RESET)
            writer.transport.abort()
        return len(cut)

    async def _close(self) -> None:
        await self._close_server()
        await self._cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        other: asyncio.StreamWriter | None = None
        try:
            # The handshake with the target must not arrive either.
            await self._flowing["up"].wait()
            source, other = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(other)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump("up", reader, other))
                pumps.create_task(self._pump("down", source, writer))
        except* OSError:
            pass
        finally:
            for each in (writer, other):
                if each is not None:
                    self._writers.discard(each)
                    each.close()
            self._tasks.discard(task)

    async def _pump(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one direction until its end, then raise ConnectionError to end the other."""
        clock = asyncio.get_running_loop().time
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)

        async def read() -> None:
            while data := await self._read(reader):
                await queue.put((clock() + self._delays[way], data))
            await queue.put((clock() + self._delays[way], b""))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - clock()))
                await self._flowing[way].wait()
                if not data:
                    raise ConnectionError("one end has closed")
                writer.write(data)
                await writer.drain()
        finally:
            reading.cancel()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(CHUNK)
        except OSError:
            return b""
