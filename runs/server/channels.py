"""A client's TCP connection in Daphne: how many there may be, and how long a request may take to arrive."""

# ruff: noqa: N802 (the names that Twisted calls)
from __future__ import annotations

import asyncio
import resource
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.web import http

from runs.conf import settings
from runs.server.limits import detail_json

#: A request must arrive within so many seconds, and one more for each so many bytes that have arrived. Twisted
#: allows a minute between any two bytes.
ARRIVAL, SLOWEST = 30.0, 16 * 1024
#: Open files that are left for all else: the database, webhooks, graphs' own connections.
RESERVED = 256


#: `Any`, because Twisted's class has types in parts only.
HTTPChannel: Any = http.HTTPChannel


class Channel(HTTPChannel):
    """A connection until it closes, or becomes a websocket."""

    def __init__(self) -> None:
        super().__init__()
        self._timer: asyncio.TimerHandle | None = None
        self._began, self._received = 0.0, 0
        self._responding = False

    def connectionMade(self) -> None:
        self.factory.opened += 1
        super().connectionMade()

    def connectionLost(self, reason: Any) -> None:
        self.factory.opened -= 1
        self._arrived()
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if self._timer is None and not self._responding:
            loop = asyncio.get_running_loop()
            self._began, self._received = loop.time(), len(data)
            self._timer = loop.call_later(ARRIVAL, self._check)
        super().dataReceived(data)

    def allContentReceived(self) -> None:
        self._arrived()
        # Later data belong to the next request, which is not read before the response has ended.
        self._responding = True
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        self._responding = False
        super().requestDone(request)

    def _arrived(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        end = self._began + ARRIVAL + self._received / SLOWEST
        if loop.time() < end:
            self._timer = loop.call_at(end, self._check)
            return
        self._timer = None
        self.transport.write(refusal(408, "Request Timeout", "The request did not arrive in time."))
        self.loseConnection()


class Refusal(Protocol):
    """A connection beyond `CONNECTIONS`: it is answered and closed unread."""

    transport: Any

    def connectionMade(self) -> None:
        said = "The server has too many open connections; try again."
        self.transport.write(refusal(503, "Service Unavailable", said, b"Retry-After: 1\r\n"))
        self.transport.loseConnection()


def refusal(status: int, reason: str, detail: str, headers: bytes = b"") -> bytes:
    """A whole response that closes its connection."""
    body = detail_json(detail)
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + headers + b"Connection: close\r\n\r\n" + body


def is_full(opened: int) -> bool:
    """Whether there may be no more connections than are open: by `CONNECTIONS`, and by the limit of open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limits = [settings.CONNECTIONS or opened + 1]
    if files != resource.RLIM_INFINITY:
        limits.append(max(1, files - RESERVED))
    return opened >= min(limits)
