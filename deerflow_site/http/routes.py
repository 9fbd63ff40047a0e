"""Which requests are the site's, and which go to the project's application."""

from __future__ import annotations

import re

from django.urls import Resolver404, resolve

from runs.api.site import not_found
from runs.server.paths import socket_parameters
from runs.server.types import Scope

_PARAMETER = re.compile(r"{[^}]*}")


def path_of(scope: Scope) -> str:
    """The path below the prefix."""
    path = str(scope["path"])
    return path.removeprefix(scope.get("root_path", "")) or "/"


def is_ours(scope: Scope) -> bool:
    """Whether the site itself has a route for the request."""
    if scope["type"] == "websocket":
        return socket_parameters(scope) is not None
    return has_route(path_of(scope))


def has_route(path: str) -> bool:
    """Whether the site has a route for the path."""
    try:
        return resolve(path).func is not not_found
    except Resolver404:
        return False


def shared_paths(paths: list[str]) -> list[str]:
    """Those of the application's paths that the site answers itself."""
    return sorted({path for path in paths if has_route(_PARAMETER.sub("x", path))})
