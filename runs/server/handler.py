"""Django's ASGI handler without what the API's asynchronous views do not use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import Any

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import set_script_prefix

from runs.exceptions import ReaderRefused, ServerClosing
from runs.pages.content_policy import NOTHING, content_policy
from runs.server.types import Receive, Scope, Send

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
Middleware = Callable[[GetResponse], GetResponse]

WITHOUT_BODY = (204, 304)
#: What Django's middleware would add: an answer is what it says it is, and no other site's page shows it in a frame.
GUARDS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
#: What the API's own page adds to the policy of all pages: Swagger UI sets styles and has its icons in its style sheet.
PAGE_STYLES = {"style-src": "'self' 'unsafe-inline'"}


class LeanHandler(ASGIHandler):
    """Serves asynchronous views with only the asynchronous `middleware` given here, first is outermost.

    What it leaves out, and why that is safe: a thread of its own for each request (synchronous views share
    the process's one), and the signals `request_started` and `request_finished`, whose receivers look after
    the database connections of the handling thread. Here that is the event loop's, which has none: views
    reach the database through `database_sync_to_async`, which looks after its own.
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
            try:
                await self._respond(request, receive, send)
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None

    async def _respond(self, request: ASGIRequest, receive: Receive, send: Send) -> None:
        """Answer, unless the client leaves: that cancels the view, or the stream, where it waits."""
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
            # All but the first cut the response off, without its end, so that the client asks again.
            pass
