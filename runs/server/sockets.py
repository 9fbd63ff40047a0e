"""A client's websocket in Daphne: back-pressure both ways, bounds, pings, and close codes."""

# ruff: noqa: N802, N803 (the names that Twisted calls)
from __future__ import annotations

import asyncio
from typing import Any

from daphne import ws_protocol

from runs.protocols.agent.closing import Code, reason
from runs.server.connections import Gate, Progress, bound_kernel_buffer, unsent
from runs.server.types import Message

#: Maximum messages of one websocket that wait for the application, and their bytes; then the socket is not
#: read any more.
INBOX, ROOM = 32, 256 * 1024
#: Maximum frames of a message, and parts of a frame that are stored as they arrive.
MOST_FRAMES, PARTS = 4096, 1024
#: Seconds in which a client answers a close frame, after all that was sent before it.
CLOSE_ANSWER = 4.0
#: Seconds after which a client that read nothing may come back.
STALLED = 5.0


class Inbox(asyncio.Queue[Message]):
    """A websocket's received messages that the application has not read.

    While full, the socket is not read.
    """

    transport: Any = None
    _size = 0
    _paused = False

    def put_nowait(self, item: Message) -> None:
        super().put_nowait(item)
        self._size += size_of(item)
        self._follow()

    async def get(self) -> Message:
        item = await super().get()
        self._size -= size_of(item)
        self._follow()
        return item

    def _follow(self) -> None:
        full = self.qsize() >= INBOX or self._size >= ROOM
        if self.transport is not None and full != self._paused:
            self._paused = full
            if full:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()


def size_of(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or b"")


class WebSocketProtocol(ws_protocol.WebSocketProtocol):
    #: The parts of the frame that is arriving.
    frame_data: list[bytes] | None
    _frames = 0

    def connectionMade(self) -> None:
        super().connectionMade()
        self.gate = Gate()
        self._progress = Progress()
        # The HTTP channel of the handshake is still the transport's producer.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self.gate, True)
        bound_kernel_buffer(self.transport)

    def connectionLost(self, reason: Any) -> None:
        # The HTTP channel is not told.
        self.factory.server_class.http_factory.opened -= 1
        self.gate.stopProducing()
        super().connectionLost(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        # `onConnect`, which sets the attribute, is not called for a refused handshake.
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)

    # --- what a client sends

    def onMessageBegin(self, isBinary: bool) -> None:
        self._frames = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        self._frames += 1
        # Empty frames add nothing to a message's size, but each takes memory.
        if self._frames > MOST_FRAMES and not self.failedByMe:
            self._max_message_size_exceeded(self._frames, MOST_FRAMES, "The message has too many frames.")

    def onMessageFrameData(self, payload: bytes) -> None:
        super().onMessageFrameData(payload)
        # A part as small as a byte takes fifty.
        if self.frame_data and len(self.frame_data) >= PARTS:
            self.frame_data = [b"".join(self.frame_data)]

    def onMessageFrame(self, payload: list[bytes]) -> None:
        super().onMessageFrame([b"".join(payload)])

    def onPing(self, payload: bytes) -> None:
        # A client that pings and never reads would fill the write buffer; it may miss answers (RFC 6455, 5.5.3).
        if self.gate.is_open:
            super().onPing(payload)

    # --- what it is sent

    def serverSend(self, content: Any, binary: bool = False) -> None:
        # `sendMessage` refuses messages above the limit for what clients send; an event may be larger.
        if self.state == self.STATE_OPEN:
            self.sendFrame(opcode=2 if binary else 1, payload=content if binary else content.encode())

    # --- whether it is still there

    def check_timeouts(self) -> None:
        if self.state == self.STATE_OPEN and self._progress.stalled(self.transport):
            self.close_with(
                Code.TRY_LATER, reason("The client reads nothing of what is sent.", retry_after=STALLED)
            )
        super().check_timeouts()

    def onAutoPingTimeout(self) -> None:
        if self.state == self.STATE_OPEN and unsent(self.transport):
            # The client cannot see the ping before all that was sent earlier. Another ping follows.
            self.autoPingTimeoutCall = None
        else:
            super().onAutoPingTimeout()

    # --- the end

    def serverClose(self, code: int | None = None) -> None:
        """Called when the socket has been open for a day."""
        self.close_with(Code.GOING_AWAY, "The socket was open for too long; connect again.")

    def handle_reply(self, message: Message) -> None:
        if message.get("type") == "websocket.close" and self.state != self.STATE_CONNECTING:
            self.close_with(message.get("code") or 1000, message.get("reason"))
        else:
            super().handle_reply(message)

    def close_with(self, code: int, why: str | None = None) -> None:
        """Close with any code, because `sendClose` refuses servers' codes 1001 and 1011 to 1014."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=int(code), reasonUtf8=reason(why or "").encode())


class WebSocketFactory(ws_protocol.WebSocketFactory):
    protocol = WebSocketProtocol
