"""Websockets whose clients write the bytes of their frames."""

from __future__ import annotations

import socket as sockets
import struct
from collections.abc import Iterator

TEXT, CONTINUED, CLOSE, PING, PONG = 1, 0, 8, 9, 10
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


class Raw:
    """A websocket whose client writes the bytes of its frames."""

    def __init__(self, port: int, path: str, *, headers: bytes = b"", receive_buffer: int = 0) -> None:
        self.socket = sockets.socket()
        if receive_buffer:
            self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(HANDSHAKE % (path.encode(), headers))
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self.socket.recv(4096)
        self.answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        assert self.answer.startswith(b"HTTP/1.1 101"), self.answer

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """The opcode and payload of what the server sends, until it ends the connection."""
        while True:
            try:
                _, first, second = b"", *self._take(2)
                length = second & 127
                if length == 126:
                    (length,) = struct.unpack("!H", self._take(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", self._take(8))
                yield first & 15, self._take(length)
            except (EOFError, ConnectionError):
                return

    def close_code(self) -> tuple[int, str]:
        """The code and reason of the server's close frame; (1006, "") if it sends none."""
        for opcode, payload in self.frames():
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
        return 1006, ""

    def receive(self, most: int = 1 << 16) -> None:
        more = self.socket.recv(most)
        if not more:
            raise EOFError
        self._buffer += more

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self.receive()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def frame(payload: bytes = b"", *, opcode: int = TEXT, final: bool = True, reserved: int = 0) -> bytes:
    """A client's frame, masked by zeros."""
    head = bytes([(final << 7) | reserved | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", 0x80 | 126, len(payload))
    else:
        head += struct.pack("!BQ", 0x80 | 127, len(payload))
    return head + b"\0\0\0\0" + payload
