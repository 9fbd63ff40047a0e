"""Django's CSRF check without its middleware, which the API does not use."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from runs.identity.sessions import loaded_session


class _Headers(HttpRequest):
    """A request without its body: the token is read from the header, and no form is parsed."""

    session: SessionBase

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        # "POST", because Django skips the check for GET, and callers check only requests that change
        # something.
        self.method, self.META, self.COOKIES = "POST", request.META, request.COOKIES
        self._scheme = request.scheme or "http"

    def _get_scheme(self) -> str:
        return self._scheme


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return HttpResponse(reason)


def _no_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


async def csrf_failure(request: HttpRequest) -> str | None:
    """Why a request that changes something may come from another site's page; None if it does not.

    Such a request may be a GET that cancels a run on disconnect. Changes `request.META`.
    """
    check = _CsrfCheck(_no_view)
    headers = _Headers(request)
    if settings.CSRF_USE_SESSIONS:
        # The token is in the session, which the API's requests have not loaded.
        headers.session = await loaded_session(request.COOKIES)
    check.process_request(headers)
    refused = check.process_view(headers, _no_view, (), {})
    return refused.content.decode() if refused is not None else None
