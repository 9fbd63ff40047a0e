"""Django's ASGI handler, reduced to the parts that the API's asynchronous views use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import Any

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import ResolverMatch, set_script_prefix

from runs.exceptions import ReaderRefused, ServerClosing
from runs.pages.content_policy import NOTHING, content_policy
from runs.server.paths import match_of
from runs.server.types import Receive, Scope, Send

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
Middleware = Callable[[GetResponse], GetResponse]

WITHOUT_BODY = (204, 304)
#: Headers that Django's middleware would add: no guessing of content types, and no frames on other sites'
#: pages.
GUARDS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
#: Additions to the content policy for the API's page: Swagger UI sets styles, and its style sheet contains
#: icons.
PAGE_STYLES = {"style-src": "'self' 'unsafe-inline'"}


class LeanHandler(ASGIHandler):
    """Serves asynchronous views with only the given asynchronous `middleware`; the first is outermost.

    It omits two parts of Django's handler. One is a separate thread per request; synchronous views
    share the process's one. The other is the signals `request_started` and `request_finished`,
    whose receivers manage the database connections of the handling thread. Here that is the event
    loop's thread, which has no connections: views use `database_sync_to_async`, which manages its
    own.
    """

    def __init__(self, middleware: Sequence[Middleware] = ()) -> None:
        self.middleware = middleware
        super().__init__()

    def load_middleware(self, is_async: bool = True) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        handler: Any = convert_exception_to_response(self._get_response_async)  # type: ignore[attr-defined]
        for middleware in reversed(self.middleware):
            handler = convert_exception_to_response(middleware(handler))
        self._middleware_chain = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return None
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            request, refusal = self.create_request(scope, body)
            if request is None:
                assert refusal is not None
                return await self.send_response(refusal, send)
            # Before the middleware, which goes by the route.
            request.resolver_match = match_of(scope)
            try:
                await self._respond(request, receive, send)
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        return request.resolver_match or super().resolve_request(request)  # type: ignore[misc, no-any-return]

    async def _respond(self, request: ASGIRequest, receive: Receive, send: Send) -> None:
        """Respond.

        If the client disconnects, the view or the stream is cancelled where it waits.
        """
        try:
            async with asyncio.TaskGroup() as group:
                listener = group.create_task(self.listen_for_disconnect(receive))
                response: Any = await self.run_get_response(request)
                for name, value in GUARDS.items():
                    response.headers[name] = value
                page = response.headers.get("Content-Type", "").startswith("text/html")
                policy = content_policy(**PAGE_STYLES) if page else NOTHING
                response.headers.setdefault("Content-Security-Policy", policy)
                if not response.streaming and response.status_code not in WITHOUT_BODY:
                    response.headers.setdefault("Content-Length", str(len(response.content)))
                try:
                    await self.send_response(response, send)
                finally:
                    for close in response._resource_closers:  # not close(): it also sends request_finished
                        close()
                listener.cancel()
        except* (RequestAborted, ServerClosing, ReaderRefused):
            # All errors except the first one abort the response without its end, so that the client retries.
            pass
