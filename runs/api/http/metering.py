"""Counting the requests to the API by their routes, as middleware of its handler."""

from __future__ import annotations

import re
import time
from asyncio import CancelledError
from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponseBase

from runs.process.metrics import LEFT, NO_ROUTE, requests
from runs.requests.mount import route_of

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def metered(get_response: GetResponse) -> GetResponse:
    """Record the status and the duration of each request."""

    async def measured(request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        status = 500
        try:
            response = await get_response(request)
            status = response.status_code
            return response
        except CancelledError:
            status = LEFT
            raise
        finally:
            requests.add(request.method or "", route(request), status, time.perf_counter() - began)

    return measured


def route(request: HttpRequest) -> str:
    """The template of the request's path within the API: "/threads/{thread_id}"."""
    found = route_of(request.resolver_match)
    return NO_ROUTE if found is None else "/" + _PARAMETER.sub(r"{\1}", found)
