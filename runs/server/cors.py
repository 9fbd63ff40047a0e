"""Cross-origin requests to the API, as ASGI middleware.

It is the outermost middleware, so that pages can read errors and streams too.

Pages of other sites authenticate by a key in a header. `Access-Control-Allow-Credentials` is never
sent, so that pages of other sites cannot read responses to a user's cookies
(`runs.identity.origins`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runs.conf import settings
from runs.identity.origins import ANY, is_allowed
from runs.server.limits import refuse
from runs.server.types import Application, Message, Receive, Scope, Send

#: Response headers that pages may read, in addition to the standard ones.
EXPOSED = b"location, content-location, x-pagination-total, x-pagination-next, retry-after"
#: The request header that only preflight requests have.
PREFLIGHT = b"access-control-request-method"
METHODS = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"

Headers = list[tuple[bytes, bytes]]


class CrossOrigin:
    """Answers preflight requests, and lets pages of allowed origins read responses."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = header(scope, b"origin")
        if origin is None:
            return await self.application(scope, receive, send)
        allowed = is_allowed(origin.decode("latin-1"), settings.CORS_ORIGINS)
        if scope["method"] == "OPTIONS" and header(scope, PREFLIGHT) is not None:
            if not allowed:
                return await refuse(send, 403, "Pages of this origin are not allowed; see CORS_ORIGINS.")
            return await preflight(scope, origin, send)
        if not allowed:
            # This site's own pages and clients other than browsers need no CORS headers.
            return await self.application(scope, receive, send)

        async def readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [
                    *permission(origin),
                    (b"access-control-expose-headers", listed(EXPOSED, settings.CORS_EXPOSED)),
                ]
                message = {**message, "headers": [*without_permission(message.get("headers", ())), *more]}
            await send(message)

        return await self.application(scope, receive, readable)


async def preflight(scope: Scope, origin: bytes, send: Send) -> None:
    """Allow the request; with any headers by default, because none of them is dangerous without cookies."""
    methods = listed(b"", settings.CORS_METHODS) or METHODS
    headers = [
        *permission(origin),
        (b"access-control-allow-methods", methods),
        (b"access-control-max-age", b"%d" % settings.CORS_MAX_AGE),
    ]
    if settings.CORS_HEADERS and "*" not in settings.CORS_HEADERS:
        headers.append((b"access-control-allow-headers", listed(b"", settings.CORS_HEADERS)))
    elif (wanted := header(scope, b"access-control-request-headers")) is not None:
        headers.append((b"access-control-allow-headers", wanted))
    if header(scope, b"access-control-request-private-network") == b"true":
        # A public page that is allowed by name, such as LangGraph Studio, accesses a server on this machine.
        headers.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})


def permission(origin: bytes) -> Headers:
    """The headers that allow an origin. `Vary` keeps caches from serving them to another origin."""
    if ANY in settings.CORS_ORIGINS:
        return [(b"access-control-allow-origin", b"*")]
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]


def without_permission(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers of a response without those by which an application inside has allowed the origin already."""
    return [each for each in headers if not each[0].lower().startswith(b"access-control-")]


def listed(always: bytes, more: Sequence[str]) -> bytes:
    """The value of a header that is a list."""
    return b", ".join([*([always] if always else []), *(each.encode("latin-1") for each in more)])


def header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)
