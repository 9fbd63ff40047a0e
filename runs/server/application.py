"""The ASGI application: lifespan, websockets, the API on a lean handler, the rest on Django's.

Importing this module needs the apps loaded: `runs.asgi` sees to that.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, cast

from channels.routing import URLRouter
from django.urls import URLPattern, re_path

from runs.api.http.middleware import MIDDLEWARE
from runs.conf import settings
from runs.identity.origins import may_connect
from runs.identity.sockets import take_ticket
from runs.routing import websocket_urlpatterns
from runs.server.cors import CrossOrigin, header
from runs.server.handler import LeanHandler
from runs.server.lifespan import Lifespan, State, lifespan
from runs.server.limits import BodyLimit, PlainPaths, has_encoded_slash, refuse
from runs.server.types import Application, Receive, Scope, Send

logger = logging.getLogger(__name__)

#: The API's paths with all paths below them; the root itself belongs to the API too.
API_PREFIXES = (
    "/assistants",
    "/docs",
    "/info",
    "/metrics",
    "/ok",
    "/openapi.json",
    "/runs",
    "/store",
    "/threads",
)


async def reject(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a websocket before the handshake, which the client sees as 403."""
    await receive()
    await send({"type": "websocket.close"})


def websocket_application(routes: list[URLPattern]) -> Application:
    # No authentication here: the consumer does it (`runs.identity.sockets`).
    router: Any = URLRouter([*routes, re_path("", cast(Any, reject))])

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Only a browser sends a user's cookies with a socket of another site's page, and it sends an Origin.
        origin, host = (
            each.decode("latin-1") if each is not None else None
            for each in (header(scope, b"origin"), header(scope, b"host"))
        )
        allowed = may_connect(origin, settings.CORS_ORIGINS, host=host) and not has_encoded_slash(scope)
        take_ticket(scope)
        await (router if allowed else reject)(scope, receive, send)

    return application


class Site:
    """Dispatches by scope type and path, once the runtime is open."""

    def __init__(
        self, lifespan: Lifespan, *, api: Application, site: Application, websocket: Application
    ) -> None:
        self.lifespan = lifespan
        self.api = CrossOrigin(self._while_serving(PlainPaths(BodyLimit(api))))
        self.site = self._while_serving(BodyLimit(site))
        self.websocket = websocket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.lifespan(scope, receive, send)
        if self.lifespan.state is State.STARTING:
            await self._open()
        if scope["type"] == "websocket":
            return await (self.websocket if self._serving else reject)(scope, receive, send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        api = path == "/" or "/" + path[1:].partition("/")[0] in API_PREFIXES
        return await (self.api if api else self.site)(scope, receive, send)

    @property
    def _serving(self) -> bool:
        return self.lifespan.state in (State.READY, State.DRAINING)

    def _while_serving(self, application: Application) -> Application:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if self._serving:
                return await application(scope, receive, send)
            return await refuse(send, 503, self._why_not())

        return serve

    async def _open(self) -> None:
        """Open the runtime for a server that sent no lifespan, such as the plain `daphne` command."""
        if not self.lifespan.begun and "daphne.server" in sys.modules:
            # Not above: it imports Twisted, which other servers do not need.
            from runs.server.daphne import drain_before_exit

            drain_before_exit(self.lifespan)
        try:
            await self.lifespan.startup()
        except Exception as error:
            logger.error("The server could not start: %s", error)

    def _why_not(self) -> str:
        if self.lifespan.state is State.CLOSED:
            return "The server is shutting down."
        error = self.lifespan.error
        return str(error) if hasattr(error, "exit_code") else "The server could not start: its log says why."


def site_application(django_site: Application) -> Site:
    """Return the application of this process.

    Args:
        django_site: Django's own ASGI application, for all that is not the API's.
    """
    return Site(
        lifespan,
        api=LeanHandler(MIDDLEWARE),
        site=django_site,
        websocket=websocket_application(websocket_urlpatterns),
    )
