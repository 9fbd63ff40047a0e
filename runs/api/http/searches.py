"""The time limit of searches, lists and counts, as middleware of the API's handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponseBase

from runs.identity.auth_file.rules import rule_for
from runs.requests.mount import route_of
from threads.db.time_limits import time_limit

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def limited(get_response: GetResponse) -> GetResponse:
    """Limit the time of queries whose cost depends on what the client asks for."""

    async def answered(request: HttpRequest) -> HttpResponseBase:
        route = route_of(request.resolver_match)
        rule = rule_for(request.method or "", route) if route is not None else None
        if rule is None or rule.cost != "limited":
            return await get_response(request)
        with time_limit():
            return await get_response(request)

    return answered
