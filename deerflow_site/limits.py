"""The limits of request bodies and of paths, as ASGI middleware, and the answer of a server that does not serve."""

from __future__ import annotations

import json

from deerflow_site.types import Application, Message, Receive, Scope, Send
from runs.conf import settings


def too_large(limit: int) -> str:
    return f"Request body is larger than {limit} bytes."


def detail_json(detail: str) -> bytes:
    return json.dumps({"detail": detail}).encode()


async def refuse(send: Send, status: int, detail: str) -> None:
    """Answer `{"detail": …}` and have the connection closed: nobody reads the rest of the request."""
    body = detail_json(detail)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class PlainPaths:
    """Answers 400 to a path with an encoded slash: a proxy that decides by paths has seen another one (durability §3.1)."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = (scope.get("raw_path") or b"").partition(b"?")[0]
        if b"%2f" in path.lower():
            return await refuse(send, 400, "A path must not hold an encoded slash (%2F).")
        return await self.application(scope, receive, send)


class BodyLimit:
    """Answers 413 to a body above `BODY_LIMIT`, before reading it if its length is declared."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = settings.BODY_LIMIT
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if declared is None:
            await self._count(limit, scope, receive, send)
        elif int(declared) <= limit:
            await self.application(scope, receive, send)
        else:
            await refuse(send, 413, too_large(limit))

    async def _count(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0
        answered = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message if received <= limit else {"type": "http.disconnect"}

        async def noted(message: Message) -> None:
            nonlocal answered
            if received <= limit or answered:
                answered = True
                await send(message)

        await self.application(scope, counted, noted)
        if received > limit and not answered:
            await refuse(send, 413, too_large(limit))
