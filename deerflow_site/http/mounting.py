"""The project's application and the site as one: the site's routes win, the application's middleware is around all."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from deerflow_site.http import custom
from deerflow_site.http.access import authenticate, turn_away
from deerflow_site.http.routes import Ours, shared_paths
from runs.server.types import Application, Receive, Scope, Send

logger = logging.getLogger(__name__)

#: In the scope of a request that may go to the application's own routes.
PASSED = "deerflow.passed"


def mounted(app: Application, site: Application, *, ours: Ours, authenticated: bool) -> Application:
    """Return one application.

    Args:
        ours: Which requests go to the site before the application's routes.
        authenticated: Whether the application's own routes need the credentials of the API.
    """
    router: Any = getattr(app, "router", None)
    if hasattr(router, "routes") and hasattr(router, "default"):
        warn_of_shared_paths([path for route in router.routes if (path := getattr(route, "path", None))])
        router.routes.insert(0, SiteRoute(router, site, ours=ours, authenticated=authenticated))
        router.default = site
        return with_state(app)
    return Beside(with_state(app), site, ours=ours, authenticated=authenticated)


def warn_of_shared_paths(paths: list[str]) -> None:
    if shared := shared_paths(paths):
        logger.warning(
            "langgraph.json: 'http.app' also has %s: this server answers %s.",
            ", ".join(shared),
            "it" if len(shared) == 1 else "them",
        )


def with_state(app: Application) -> Application:
    """The application, whose requests see what its lifespan has put into `state`."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(custom.state)}, receive, send)

    return call


class Beside:
    """Any ASGI application beside the site; it gets what is not the site's."""

    def __init__(self, app: Application, site: Application, *, ours: Ours, authenticated: bool) -> None:
        self.app, self.site, self.ours, self.authenticated = app, site, ours, authenticated

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.ours(scope):
            return await self.site(scope, receive, send)
        if self.authenticated and (refused := await authenticate(scope)):
            return await turn_away(refused, scope, receive, send)
        return await self.app(scope, receive, send)


class SiteRoute:
    """The first route of a Starlette application, which leads to the site; so the application's middleware
    is around the site too.
    """

    def __init__(self, router: Any, site: Application, *, ours: Ours, authenticated: bool) -> None:
        self.router, self.site, self.ours, self.authenticated = router, site, ours, authenticated
        # Only an application of Starlette comes here, so it is installed.
        self.match = importlib.import_module("starlette.routing").Match

    def matches(self, scope: Scope) -> tuple[Any, Scope]:
        if scope["type"] not in ("http", "websocket"):
            return self.match.NONE, {}
        guarded = self.authenticated and PASSED not in scope
        return (self.match.FULL if guarded or self.ours(scope) else self.match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.ours(scope):
            return await self.site(scope, receive, send)
        if refused := await authenticate(scope):
            return await turn_away(refused, scope, receive, send)
        scope[PASSED] = True
        await self.router.app(scope, receive, send)
        return None
