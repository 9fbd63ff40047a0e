"""Which requests are the site's, and which go to the project's application."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from django.urls import Resolver404, resolve

from runs.api.site import not_found
from runs.server.paths import socket_parameters
from runs.server.types import Scope

_PARAMETER = re.compile(r"{[^}]*}")

#: The first parts of the paths that each key of `http` removes.
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
#: What below a thread starts or follows runs.
_OF_RUNS = frozenset({"runs", "commands", "stream"})

#: Says whether a request is the site's.
Ours = Callable[[Scope], bool]


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


def disabled_parts(http: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(part for key, parts in DISABLED.items() if http.get(key) for part in parts)


def is_disabled(scope: Scope, parts: frozenset[str]) -> bool:
    """Whether a request is for a route that `http` disables."""
    path = path_of(scope).strip("/").split("/")
    if "runs" in parts and path[0] == "threads" and path[2:3] and path[2] in _OF_RUNS:
        return True
    return path[0] in parts


def shared_paths(paths: list[str]) -> list[str]:
    """Those of the application's paths that the site answers itself."""
    return sorted({path for path in paths if has_route(_PARAMETER.sub("x", path))})
