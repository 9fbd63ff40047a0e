"""Clients of the thread's websocket, in the test's event loop, through the site's routing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from channels.testing import WebsocketCommunicator

from runs.server.site import websocket_application

Json = dict[str, Any]
TIMEOUT = 20


class Socket:
    """One websocket on a thread."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self._communicator = communicator
        self._number = 0
        self.events: list[Json] = []

    async def command(self, method: str, **params: Any) -> Json:
        """Send a command and return its answer; events that come before it are kept."""
        self._number += 1
        await self.send({"id": self._number, "method": method, "params": params})
        while (message := await self.receive())["type"] == "event":
            self.events.append(message)
        assert message["id"] == self._number
        return message

    async def send(self, message: Any) -> None:
        await self.send_text(json.dumps(message))

    async def send_text(self, text: str) -> None:
        await self._communicator.send_to(text_data=text)

    async def receive(self) -> Json:
        return dict(json.loads(await self._communicator.receive_from(TIMEOUT)))

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server closes it."""
        closing = await self._communicator.receive_output(TIMEOUT)
        assert closing["type"] == "websocket.close", closing
        return closing["code"], closing["reason"]


@asynccontextmanager
async def socket(
    thread: str,
    headers: Mapping[str, str] | None = None,
    *,
    raw_path: bytes | None = None,
    query: str = "",
) -> AsyncIterator[Socket]:
    """A websocket on a thread. Raises ConnectionRefusedError if its handshake is refused.

    Args:
        raw_path: The undecoded path of the client, if it differs from the decoded one.
    """
    sent = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    path = f"/threads/{thread}/stream/events"
    application = websocket_application()
    communicator = WebsocketCommunicator(application, f"{path}?{query}" if query else path, headers=sent)
    communicator.scope["raw_path"] = raw_path or path.encode()
    connected, _ = await communicator.connect(TIMEOUT)
    if not connected:
        raise ConnectionRefusedError
    try:
        yield Socket(communicator)
    finally:
        await communicator.disconnect(timeout=TIMEOUT)
