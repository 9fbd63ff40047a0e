"""Where the API is mounted: a site may include `runs.urls` below any prefix, beside its own paths.

A view of the API carries its route within the API, so that rules and headers do not depend on the
prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections, transaction
from django.http import HttpRequest
from django.urls import ResolverMatch

ROUTE = "api_route"

V = TypeVar("V", bound=Callable[..., Any])


def mark(view: Callable[..., Any], route: str | None) -> None:
    """Note a view's route within the API; None for the view of unknown paths."""
    setattr(view, ROUTE, route)
    without_atomic_requests(view)


def without_atomic_requests(view: V) -> V:
    """Exempt an asynchronous view from a site's `ATOMIC_REQUESTS`, with which Django refuses to call it."""
    for alias in connections:
        transaction.non_atomic_requests(using=alias)(view)
    return view


def is_api(match: ResolverMatch) -> bool:
    """Whether a path belongs to the API."""
    return hasattr(match.func, ROUTE)


def route_of(match: ResolverMatch | None) -> str | None:
    """The route within the API, as "threads/<thread_id>/runs"; None if the API has no such path."""
    return getattr(match.func, ROUTE, None) if match is not None else None


def prefix_of(request: HttpRequest) -> str:
    """The part of the request's path before its route, without a slash at its end: "/agents"."""
    return _parted(request)[0]


def path_of(request: HttpRequest) -> str:
    """The part of the request's path after the prefix: "/threads/1/runs"."""
    return "/" + "/".join(_parted(request)[1:])


def _parted(request: HttpRequest) -> list[str]:
    route = route_of(request.resolver_match) or ""
    return request.path.rsplit("/", route.count("/") + 1)
