"""Which requests are the API's: decided by the site's own URL patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.handlers.asgi import get_script_prefix
from django.urls import NoReverseMatch, Resolver404, ResolverMatch, get_resolver, reverse

from runs.requests.mount import is_api, route_of
from runs.server.types import Scope

#: The key of a scope under which its match is kept.
MATCH = "runs.match"
#: The name of the API's root in the site's patterns.
ROOT = "runs_api:api-root"
#: The route of the API's websocket, which HTTP has too.
SOCKET = "threads/<thread_id>/stream/events"


def match_of(scope: Scope) -> ResolverMatch | None:
    """The site's pattern for the path of a scope, or None."""
    if MATCH not in scope:
        scope[MATCH] = _resolved(_path(scope))
    found: ResolverMatch | None = scope[MATCH]
    return found


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(get_script_prefix(scope))


def _resolved(path: str) -> ResolverMatch | None:
    try:
        return get_resolver(settings.ROOT_URLCONF).resolve(path)
    except Resolver404:
        return None


def is_of_api(scope: Scope) -> bool:
    """Whether a path is the API's, also to refuse an unknown one."""
    match = match_of(scope)
    return match is not None and is_api(match) and (route_of(match) is not None or not is_static(scope))


def is_static(scope: Scope) -> bool:
    """Whether a path is a static file's. The site's middleware serves these; no pattern has them."""
    prefix = urlsplit(settings.STATIC_URL or "").path
    return bool(prefix) and (scope["path"].startswith(prefix) or _path(scope).startswith(prefix))


def below_mount(scope: Scope) -> bool:
    """Whether an unknown path is the API's to refuse: the prefix below which it is mounted has
    nothing else.
    """
    try:
        mounted = reverse(ROOT)
    except NoReverseMatch:
        return False
    path = _path(scope)
    # Django's own middleware adds a missing slash.
    return mounted != "/" and path.startswith(mounted) and _resolved(f"{path}/") is None


def socket_parameters(scope: Scope) -> Mapping[str, Any] | None:
    """The parameters of a websocket's path, or None if it is not the API's."""
    match = _resolved(_path(scope).rstrip("/"))
    return match.kwargs if match is not None and route_of(match) == SOCKET else None
