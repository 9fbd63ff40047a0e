"""A lean HTTP/1.1 client, because its cost is the server's loss: they share the machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson

NAME = "raw asyncio sockets, HTTP/1.1 keep-alive, events counted and not parsed"
#: The most bytes of a part of a response, and the most seconds of a request.
LIMIT, TIMEOUT = 64 * 1024 * 1024, 180.0

OnData = Callable[[bytes], None]


class RequestError(Exception):
    """The server answered an error, or closed the connection."""


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._parse: Callable[[], bool] = self._head
        self._length = 0
        self._status = 0
        self._body = bytearray()
        self._on_data: OnData | None = None
        self._done: asyncio.Future[bytes] | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", *, headers: str = "", on_data: OnData | None = None
    ) -> bytes:
        """Send a request and return the response's body; with `on_data` the parts go there instead.

        Raises RequestError for a status other than 2xx.
        """
        assert self._transport is not None
        assert self._done is None, "the connection is in use"
        self._done = asyncio.get_running_loop().create_future()
        self._on_data = on_data
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._transport.write(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}{headers}\r\n".encode() + body
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._done
        finally:
            self._done = None
        if not 200 <= self._status < 300:
            raise RequestError(f"{method} {path}: {self._status} {answer[:500].decode(errors='replace')}")
        return answer

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return orjson.loads(await self.request("POST", path, orjson.dumps(body)))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # --- asyncio's side

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the server closed the connection: {error}")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > LIMIT:
            self._fail("the response is too large")
        while self._buffer and self._parse():
            pass

    def _fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(RequestError(why))

    # --- the response; each step returns whether it made progress

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).lower()
        del self._buffer[: end + 4]
        self._status = int(head[9:12])
        self._body.clear()
        if b"transfer-encoding: chunked" in head:
            self._parse = self._size
        else:
            found = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._length = int(found or 0)
            self._parse = self._rest
            if not self._length:
                self._end()
        return True

    def _rest(self) -> bool:
        if len(self._buffer) < self._length:
            return False
        self._take(self._length)
        self._end()
        return True

    def _size(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        self._length = int(self._buffer[:end], 16)
        del self._buffer[: end + 2]
        self._parse = self._chunk
        return True

    def _chunk(self) -> bool:
        if len(self._buffer) < self._length + 2:
            return False
        length = self._length
        if length:
            self._take(length)
        del self._buffer[:2]
        self._parse = self._size
        if not length:
            self._end()
        return True

    def _take(self, length: int) -> None:
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        if self._on_data is not None and self._status == 200:
            self._on_data(data)
        else:
            self._body += data

    def _end(self) -> None:
        self._parse = self._head
        if self._done is not None and not self._done.done():
            self._done.set_result(bytes(self._body))


class Events:
    """Counts server-sent events of one name, independent of the boundaries of the parts."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self.failed = False
        self._mark = f"event: {name}\r\n".encode()
        self._rest = b""

    def __call__(self, data: bytes) -> None:
        data = self._rest + data
        self.count += data.count(self._mark)
        self.failed = self.failed or b"event: error" in data
        self._rest = data[1 - len(self._mark) :]


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """Open `count` connections to a server on loopback."""
    loop = asyncio.get_running_loop()
    opened = [Connection() for _ in range(count)]
    try:
        for connection in opened:
            await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)  # type: ignore[misc]
        yield opened
    finally:
        for connection in opened:
            connection.close()
