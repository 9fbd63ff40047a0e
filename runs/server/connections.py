"""A client's request in Daphne: back-pressure, and the body limit."""

# ruff: noqa: N802 (the names that Twisted calls)
from __future__ import annotations

import asyncio
import socket
import time
from typing import Any
from urllib.parse import unquote

from daphne import http_protocol
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from runs.conf import settings
from runs.server.channels import Channel, Refusal, is_full
from runs.server.lifespan import State
from runs.server.limits import LINGER_BYTES, LINGER_SECONDS, body_limit, detail_json, too_large
from runs.server.paths import is_of_api
from runs.server.types import Message

#: Bytes of a stream that the kernel stores unsent.
UNSENT = 128 * 1024


@implementer(IPushProducer)
class Gate:
    """Closed while the transport's write buffer is full: writers wait instead of filling memory."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    async def passed(self) -> None:
        await self._open.wait()

    def pauseProducing(self) -> None:
        self._open.clear()

    def resumeProducing(self) -> None:
        self._open.set()

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    def stopProducing(self) -> None:
        """Open for good: a transport that has closed does not call `resumeProducing`."""
        self._open.set()


class Progress:
    """Whether a client reads what is sent to it. Asked every few seconds.

    A large event may take a slow client minutes; each of them, some of it leaves.
    """

    def __init__(self) -> None:
        self._left = 0
        self._moved = time.monotonic()

    def stalled(self, transport: Any) -> bool:
        """Whether nothing of what waits to be sent has left for `SOCKET_STALL` seconds."""
        left, now = unsent(transport), time.monotonic()
        if not left or not self._left or left < self._left:
            self._moved = now
        self._left = left
        return now - self._moved > settings.SOCKET_STALL


def unsent(transport: Any) -> int:
    """Bytes that the kernel has not taken."""
    return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)


def bound_kernel_buffer(transport: Any) -> None:
    """Keep what a client has not read out of the kernel's buffer, which grows to megabytes."""
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        transport.getHandle().setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)


class Request(http_protocol.WebRequest):
    """An HTTP request whose body is limited while it arrives: Twisted stores it all before Daphne sees it."""

    gate: Gate | None = None
    _received = 0
    _limit = 0
    _refused = False
    _lingering: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Django parses the body. Twisted would parse it too, for unused arguments, and its check of the
        # content type takes longer than the rest of a request.
        super().__init__(*arguments, **options, parsePOSTFormSubmission=False)
        self._progress = Progress()

    def gotLength(self, length: int | None) -> None:
        self._limit = body_limit(of_api=is_of_api({"path": path_in(self.channel._path)}))
        if length is not None and length > self._limit:
            self._refuse()
        else:
            super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._refused and self._received > self._limit + LINGER_BYTES:
            self._hang_up()
        if not self._refused and self._received > self._limit:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._refused:
            self._hang_up()
        else:
            # Daphne would let any client set the path below which the site is mounted.
            self.requestHeaders.removeHeader(b"Daphne-Root-Path")
            super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        self._refused = True
        waits = self.requestHeaders.hasHeader(b"Expect")
        self.requestHeaders.removeHeader(b"Expect")  # or "100 Continue" would follow
        body = detail_json(too_large(self._limit))
        head = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Type: application/json\r\n"
        self.channel.write(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        if waits:
            self._hang_up()
            return
        self._lingering = asyncio.get_event_loop().call_later(LINGER_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
        self._lingering = None
        if self.channel is not None:
            self.channel.loseConnection()

    def handle_reply(self, message: Message) -> None:
        if self.channel is not None and message.get("more_body") and self.gate is None:
            self.gate = Gate()
            self.registerProducer(self.gate, True)
            bound_kernel_buffer(self.channel.transport)
        if message.get("type") == "http.response.start" and self.server.lifespan.state is not State.READY:
            # A client or proxy with persistent connections then sends its next request to another server.
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
            self.channel.persistent = False
        super().handle_reply(message)

    def finish(self) -> None:
        if self.gate is not None:
            self.unregisterProducer()
            self.gate.stopProducing()
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
        self._lingering = None
        if self.gate is not None:
            self.gate.stopProducing()
        super().connectionLost(reason)

    def check_timeouts(self) -> None:
        super().check_timeouts()
        # Twisted removes the channel of a finished request.
        channel = getattr(self, "channel", None)
        if self.gate is not None and channel is not None and self._progress.stalled(channel.transport):
            channel.transport.abortConnection()

    def handle_exception(self, exception: BaseException) -> None:
        if self._response_started:
            # Too late for a 500: the attempt would raise, and end the server's periodic checks for good.
            self.channel.loseConnection()
        else:
            super().handle_exception(exception)

    def disconnect(self) -> None:
        """Report a disconnect to the application, although the client is still connected."""
        if self.application_queue is not None and not self.finished:
            self.send_disconnect()


def path_in(target: bytes) -> str:
    """The decoded path of a request's first line."""
    return unquote(target.partition(b"?")[0].decode("latin-1"), errors="replace")


class HTTPFactory(http_protocol.HTTPFactory):
    protocol = Channel
    #: Connections that are open, including those that became websockets.
    opened = 0

    def buildProtocol(self, addr: Any) -> Any:
        if is_full(self.opened):
            return Refusal()
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = Request
        return protocol

    def log(self, request: Any) -> None:
        """Log nothing: Twisted would format an access log line that is not used."""
