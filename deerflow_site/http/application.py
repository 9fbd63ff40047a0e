"""The site inside what `http` says, from the outside inwards: the prefix, disabled routes, authentication if it
comes first, the project's application with its middleware, the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deerflow_site.http import custom
from deerflow_site.http.access import authenticate, needs_authentication, turn_away
from deerflow_site.http.mounting import mounted
from deerflow_site.http.routes import is_ours, path_of
from runs.server.limits import refuse
from runs.server.types import Application, Receive, Scope, Send

#: The first parts of the paths that each key removes.
DISABLED = {
    "disable_assistants": ("assistants",),
    "disable_threads": ("threads",),
    "disable_runs": ("runs",),
    "disable_store": ("store",),
    "disable_mcp": ("mcp",),
    "disable_a2a": ("a2a", ".well-known"),
    "disable_meta": ("info", "metrics", "docs", "openapi.json"),
    "disable_ui": ("ui",),
}


def with_project(site: Application) -> Application:
    """Return the site as the served project's `http` changes it. Raises ProjectError."""
    served = custom.project()
    return wrapped(site, served.http, custom.application()) if served is not None else site


def wrapped(site: Application, http: Mapping[str, Any], app: Application | None) -> Application:
    """Return the site inside its layers."""
    layered = site
    guarded = bool(http.get("enable_custom_route_auth"))
    first = http.get("middleware_order") == "auth_first"
    if app is not None:
        layered = mounted(app, site, authenticated=guarded and not first)
    if first:
        layered = AuthenticationFirst(layered, custom_routes=guarded)
    if parts := disabled_parts(http):
        layered = WithoutRoutes(layered, parts)
    if prefix := http.get("mount_prefix"):
        layered = BelowPrefix(layered, prefix)
    return LifespanOf(site, layered)


def disabled_parts(http: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(part for key, parts in DISABLED.items() if http.get(key) for part in parts)


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
        parts = path_of(scope).strip("/").split("/")
        # "/threads/{id}/runs" is a route of runs.
        of_runs = "runs" in self.parts and parts[0] == "threads" and parts[2:3] == ["runs"]
        if parts[0] in self.parts or of_runs:
            return await not_here(scope, receive, send)
        return await self.application(scope, receive, send)


class AuthenticationFirst:
    """Authenticates before the project's middleware sees a request."""

    def __init__(self, application: Application, *, custom_routes: bool) -> None:
        self.application, self.custom_routes = application, custom_routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = needs_authentication(scope) if is_ours(scope) else self.custom_routes
        if needed and (refused := await authenticate(scope)):
            return await turn_away(refused, scope, receive, send)
        return await self.application(scope, receive, send)


async def not_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
    else:
        await refuse(send, 404, "Not Found")
