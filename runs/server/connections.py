"""A client's connection in Daphne: back-pressure both ways, the body limit, and close codes."""

# ruff: noqa: N802, N803 (the names that Twisted calls)
from __future__ import annotations

import asyncio
from typing import Any

from daphne import http_protocol, ws_protocol
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from runs.conf import settings
from runs.server.channels import Channel, Refusal, is_full
from runs.server.lifespan import State
from runs.server.limits import LINGER_BYTES, LINGER_SECONDS, detail_json, too_large
from runs.server.types import Message

#: Maximum messages of one websocket that wait for the application; then the socket is not read any more.
INBOX = 32


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

    def stopProducing(self) -> None:
        """Open for good: a transport that has closed does not call `resumeProducing`."""
        self._open.set()


class Inbox(asyncio.Queue[Message]):
    """A websocket's received messages that the application has not read.

    While full, the socket is not read.
    """

    transport: Any = None

    def put_nowait(self, item: Message) -> None:
        super().put_nowait(item)
        if self.transport is not None and self.qsize() == INBOX:
            self.transport.pauseProducing()

    async def get(self) -> Message:
        item = await super().get()
        if self.transport is not None and self.qsize() == INBOX - 1:
            self.transport.resumeProducing()
        return item


class Request(http_protocol.WebRequest):
    """An HTTP request whose body is limited while it arrives: Twisted stores it all before Daphne sees it."""

    gate: Gate | None = None
    _received = 0
    _refused = False
    _lingering: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Django parses the body. Twisted would parse it too, for unused arguments, and its check of the
        # content type takes longer than the rest of a request.
        super().__init__(*arguments, **options, parsePOSTFormSubmission=False)

    def gotLength(self, length: int | None) -> None:
        if length is not None and length > settings.BODY_LIMIT:
            self._refuse()
        else:
            super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._refused and self._received > settings.BODY_LIMIT + LINGER_BYTES:
            self._hang_up()
        if not self._refused and self._received > settings.BODY_LIMIT:
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
        body = detail_json(too_large(settings.BODY_LIMIT))
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


class WebSocketProtocol(ws_protocol.WebSocketProtocol):
    def connectionMade(self) -> None:
        super().connectionMade()
        self.gate = Gate()
        # The HTTP channel of the handshake is still the transport's producer.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self.gate, True)

    def connectionLost(self, reason: Any) -> None:
        # The HTTP channel will not hear of it.
        self.factory.server_class.http_factory.opened -= 1
        self.gate.stopProducing()
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        # `onConnect`, which sets the attribute, is not called for a refused handshake.
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)

    def handle_reply(self, message: Message) -> None:
        if message.get("type") == "websocket.close" and self.state != self.STATE_CONNECTING:
            self.close_with(message.get("code") or 1000, message.get("reason"))
        else:
            super().handle_reply(message)

    def close_with(self, code: int, reason: str | None = None) -> None:
        """Close with any code, because `sendClose` refuses servers' codes 1001 and 1011 to 1014."""
        if self.state == self.STATE_OPEN:
            # A control frame holds 125 bytes, two of them are the code (RFC 6455, 5.5).
            text = (reason or "").encode()[:123].decode(errors="ignore").encode()
            self.sendCloseFrame(code=code, reasonUtf8=text)


class WebSocketFactory(ws_protocol.WebSocketFactory):
    protocol = WebSocketProtocol
