"""The content security policy of the pages: only the site's own files, and nothing inline."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware

#: The policy of responses that are no pages.
NOTHING = "default-src 'none'; frame-ancestors 'none'"
SOURCES = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def content_policy(**changes: str) -> str:
    """The policy of a page, with changed sources of some directives."""
    return "; ".join(f"{name} {sources}" for name, sources in {**SOURCES, **changes}.items())


POLICY = content_policy()


@sync_and_async_middleware
def content_security(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Add the policy to pages. A page's own policy is kept.

    It is Django middleware, and a decorator of views: those of the chat have the policy in any site.
    """
    if iscoroutinefunction(get_response):

        @wraps(get_response)
        async def later(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return _guarded(await get_response(request, *args, **kwargs))

        return later

    @wraps(get_response)
    def now(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _guarded(get_response(request, *args, **kwargs))

    return now


def _guarded(response: Any) -> Any:
    # Django's error pages in development have inline scripts and styles.
    if not (settings.DEBUG and response.status_code >= 400):
        response.headers.setdefault("Content-Security-Policy", POLICY)
    return response
