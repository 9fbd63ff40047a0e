"""ASGI middleware that limits request bodies and paths, and the refusal of requests."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from runs.conf import settings
from runs.server.types import Application, Message, Receive, Scope, Send


def too_large(limit: int) -> str:
    return f"Request body is larger than {limit} bytes."


def detail_json(detail: str) -> bytes:
    return json.dumps({"detail": detail}).encode()


#: How long, in seconds, and how much, in bytes, of a refused body is read and dropped. Otherwise a client
#: that is still sending would see a broken connection instead of the response.
LINGER_SECONDS, LINGER_BYTES = 10.0, 48 * 1024 * 1024


async def refuse(send: Send, status: int, detail: str, *, rest: Receive | None = None) -> None:
    """Answer `{"detail": …}`, and ask the server to close the connection.

    Args:
        rest: Receives the rest of the request's body, if it is read and dropped.
    """
    body = detail_json(detail)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": rest is not None})
    if rest is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _drop(rest)
        await send({"type": "http.response.body", "body": b""})


async def _drop(rest: Receive) -> None:
    left = LINGER_BYTES
    while left > 0:
        message = await rest()
        if message["type"] != "http.request" or not message.get("more_body"):
            return
        left -= len(message.get("body", b""))


def has_encoded_slash(scope: Scope) -> bool:
    return b"%2f" in (scope.get("raw_path") or b"").partition(b"?")[0].lower()


class PlainPaths:
    """Answers 400 to an encoded slash: a proxy's rules see another path (durability §3.1)."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if has_encoded_slash(scope):
            return await refuse(send, 400, "A path must not hold an encoded slash (%2F).")
        return await self.application(scope, receive, send)


def body_limit(*, of_api: bool) -> int:
    """The largest request body, in bytes."""
    return int(settings.BODY_LIMIT if of_api else settings.SITE_BODY_LIMIT or sys.maxsize)


class BodyLimit:
    """Answers 413 to a larger body, before reading it if its length is declared.

    Args:
        of_api: Whether the application is the API, or the rest of the site.
    """

    def __init__(self, application: Application, *, of_api: bool) -> None:
        self.application = application
        self._of_api = of_api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = body_limit(of_api=self._of_api)
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length")
        # A client that sends `Expect` has not started to send the body.
        rest = None if b"expect" in headers else receive
        if declared is None:
            await self._count(limit, scope, receive, send, rest)
        elif int(declared) <= limit:
            await self.application(scope, receive, send)
        else:
            await refuse(send, 413, too_large(limit), rest=rest)

    async def _count(
        self, limit: int, scope: Scope, receive: Receive, send: Send, rest: Receive | None
    ) -> None:
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
            await refuse(send, 413, too_large(limit), rest=rest)
