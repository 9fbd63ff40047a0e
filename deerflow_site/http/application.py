"""The site inside what `http` says, from the outside inwards: the prefix, headers for pages of other origins,
authentication if it comes first, the project's application with its middleware, the site without disabled routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deerflow_site.http import custom
from deerflow_site.http.access import authenticate, needs_authentication, turn_away
from deerflow_site.http.mounting import mounted
from deerflow_site.http.routes import Ours, disabled_parts, is_disabled, is_ours
from runs.server.cors import CrossOrigin, header
from runs.server.limits import refuse
from runs.server.types import Application, Receive, Scope, Send


def with_project(site: Application) -> Application:
    """Return the site as the served project's `http` changes it. Raises ProjectError."""
    served = custom.project()
    return wrapped(site, served.http, custom.application()) if served is not None else site


def wrapped(site: Application, http: Mapping[str, Any], app: Application | None) -> Application:
    """Return the site inside its layers."""
    parts = disabled_parts(http)

    def ours(scope: Scope) -> bool:
        # A disabled route is free for the project's application.
        return is_ours(scope) and not is_disabled(scope, parts)

    layered = WithoutRoutes(site, parts) if parts else site
    guarded = bool(http.get("enable_custom_route_auth"))
    first = http.get("middleware_order") == "auth_first"
    if app is not None:
        layered = mounted(app, layered, ours=ours, authenticated=guarded and not first)
    if first:
        layered = AuthenticationFirst(layered, ours=ours, custom_routes=guarded)
    everything = bool(http.get("cors"))
    if first or everything:
        layered = ReadableElsewhere(layered, ours=ours, everything=everything)
    if prefix := http.get("mount_prefix"):
        layered = BelowPrefix(layered, prefix)
    return LifespanOf(site, layered)


class LifespanOf:
    """The layers for requests; the lifespan is the site's own, which opens the application's."""

    def __init__(self, site: Application, layered: Application) -> None:
        self.site, self.layered = site, layered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.site if scope["type"] == "lifespan" else self.layered)(scope, receive, send)


class BelowPrefix:
    """Serves everything below a prefix; only health checks are answered without it too."""

    def __init__(self, application: Application, prefix: str) -> None:
        self.application, self.prefix = application, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == self.prefix or path.startswith(self.prefix + "/"):
            return await self.application({**scope, "root_path": self.prefix}, receive, send)
        if path == "/ok":
            return await self.application(scope, receive, send)
        return await not_here(scope, receive, send)


class WithoutRoutes:
    """Answers 404 where routes are disabled."""

    def __init__(self, application: Application, parts: frozenset[str]) -> None:
        self.application, self.parts = application, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_disabled(scope, self.parts):
            return await not_here(scope, receive, send)
        return await self.application(scope, receive, send)


class AuthenticationFirst:
    """Authenticates before the project's middleware sees a request."""

    def __init__(self, application: Application, *, ours: Ours, custom_routes: bool) -> None:
        self.application, self.ours, self.custom_routes = application, ours, custom_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = needs_authentication(scope) if self.ours(scope) else self.custom_routes
        if needed and (refused := await authenticate(scope)):
            return await turn_away(refused, scope, receive, send)
        return await self.application(scope, receive, send)


class ReadableElsewhere:
    """Lets pages of the origins of `http.cors` read what any layer answers, refusals too.

    Without that key it concerns the site's own routes alone, because an application has middleware of its own.
    """

    def __init__(self, application: Application, *, ours: Ours, everything: bool) -> None:
        self.application, self.ours, self.everything = application, ours, everything
        self.readable = CrossOrigin(application)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["type"] == "http" and header(scope, b"origin") is not None
        if asked and (self.everything or (self.ours(scope) and needs_authentication(scope))):
            return await self.readable(scope, receive, send)
        return await self.application(scope, receive, send)


async def not_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
    else:
        await refuse(send, 404, "Not Found")
