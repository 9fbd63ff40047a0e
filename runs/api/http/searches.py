"""The time limit of searches, lists and counts, as middleware of the API's handler."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from django.http import HttpRequest, HttpResponseBase

from runs.requests.mount import path_of
from threads.db.time_limits import time_limit

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

#: What reads as many rows as there are. All else that only reads finds its rows by their ids.
SEARCHES = re.compile(r"POST .*/(search|count|history|versions|namespaces)|GET /threads/[^/]+/(history|runs)")


def limited(get_response: GetResponse) -> GetResponse:
    """Limit the time of queries whose cost depends on what the client asks for."""

    async def answered(request: HttpRequest) -> HttpResponseBase:
        if not SEARCHES.fullmatch(f"{request.method} {path_of(request)}"):
            return await get_response(request)
        with time_limit():
            return await get_response(request)

    return answered
