"""Cross-origin requests to the API, as ASGI middleware: around everything, so that errors and streams are readable too.

Pages of other sites identify themselves by a key in a header. `Access-Control-Allow-Credentials` is never sent, so that no
page of another site can read what a user's cookies would show it (`runs.identity.origins`).
"""

from __future__ import annotations

from runs.conf import settings
from runs.identity.origins import ANY, is_allowed
from runs.server.limits import refuse
from runs.server.types import Application, Message, Receive, Scope, Send

#: What a page may read beside the few headers that every page may: where a run is, what the next page is, when to come back.
EXPOSED = b"location, content-location, x-pagination-total, x-pagination-next, retry-after"
METHODS = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
#: How long a browser need not ask again, in seconds.
MAX_AGE = 600

Headers = list[tuple[bytes, bytes]]


class CrossOrigin:
    """Answers a browser's question whether a page may send a request, and lets pages of allowed origins read answers."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = header(scope, b"origin")
        if origin is None:
            return await self.application(scope, receive, send)
        allowed = is_allowed(origin.decode("latin-1"), settings.CORS_ORIGINS)
        if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method") is not None:
            if not allowed:
                return await refuse(send, 403, "Pages of this origin are not allowed; see CORS_ORIGINS.")
            return await preflight(scope, origin, send)
        if not allowed:
            # This site's own pages need no permission, and other readers than browsers ask for none.
            return await self.application(scope, receive, send)

        async def readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [*permission(origin), (b"access-control-expose-headers", EXPOSED)]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        return await self.application(scope, receive, readable)


async def preflight(scope: Scope, origin: bytes, send: Send) -> None:
    """Say that the request may be sent, with whichever headers; none of them is dangerous without credentials."""
    headers = [
        *permission(origin),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-max-age", b"%d" % MAX_AGE),
    ]
    if (wanted := header(scope, b"access-control-request-headers")) is not None:
        headers.append((b"access-control-allow-headers", wanted))
    if header(scope, b"access-control-request-private-network") == b"true":
        # A page of the public network that was allowed by name, such as LangGraph Studio, asks a server on this machine.
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})


def permission(origin: bytes) -> Headers:
    """The headers that let pages of an allowed origin in; what was answered to one origin is no answer to another."""
    if ANY in settings.CORS_ORIGINS:
        return [(b"access-control-allow-origin", b"*")]
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]


def header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)
