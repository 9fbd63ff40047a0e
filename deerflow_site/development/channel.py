"""JSON messages between the supervisor and a server process, one a line, over a socket pair."""

from __future__ import annotations

import json
import socket
from typing import Any

Message = dict[str, Any]


class Channel:
    """The server process's end."""

    def __init__(self, descriptor: int) -> None:
        self.socket = socket.socket(fileno=descriptor)
        self._lines = self.socket.makefile("r", encoding="utf-8")

    def tell(self, **message: Any) -> None:
        try:
            self.socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise SystemExit(0) from None  # The supervisor has gone.

    def hear(self) -> Message:
        """Wait for the next message; ends the process if the supervisor has gone."""
        line = self._lines.readline()
        if not line:
            raise SystemExit(0)
        message: Message = json.loads(line)
        return message
