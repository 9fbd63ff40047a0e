"""HTTP methods, as middleware of the API's handler.

HEAD is GET without its body, and a 405 lists the allowed methods.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja.errors import HttpError

from runs.encoding import encode
from runs.requests.mount import route_of

GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def methodical(get_response: GetResponse) -> GetResponse:
    """Answer HEAD on every path that has GET. Refuse unknown methods like the reference server."""

    async def answered(request: HttpRequest) -> HttpResponseBase:
        head = request.method == "HEAD"
        if head:
            request.method = "GET"
        try:
            response = await get_response(request)
        finally:
            if head:
                request.method = "HEAD"
        if response.status_code == 405:
            response = await unidentified(request) or not_allowed(response.headers["Allow"])
        return without_body(response) if head else response

    return answered


async def unidentified(request: HttpRequest) -> HttpResponse | None:
    """A 401 for an unauthenticated request to a path that needs authentication; otherwise None."""
    # This module imports the models, which may not be loaded yet when the handler is created.
    from runs.identity.auth_file.rules import is_known
    from runs.identity.requests import identify

    route = route_of(request.resolver_match)
    if route is None or not is_known(route):
        return None
    try:
        await identify(request)
    except HttpError as refusal:
        body = encode({"detail": str(refusal)})
        return HttpResponse(body, status=refusal.status_code, content_type="application/json")
    return None


def not_allowed(allow: str) -> HttpResponse:
    methods = {each.strip() for each in allow.split(",")}
    allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    body = encode({"detail": "Method Not Allowed"})
    return HttpResponse(body, status=405, content_type="application/json", headers={"Allow": allowed})


def without_body(response: HttpResponseBase) -> HttpResponse:
    """The headers of a response, with the length of its body. A stream is not started."""
    found: Any = response
    empty: Any = HttpResponse(status=found.status_code, headers=dict(found.headers))
    empty.cookies = found.cookies
    # Closing a stream counts as a disconnect, which may cancel its run. An unstarted stream holds no
    # resources.
    if not found.streaming:
        empty.headers.setdefault("Content-Length", str(len(found.content)))
        empty._resource_closers.extend(found._resource_closers)
    return empty  # type: ignore[no-any-return]
