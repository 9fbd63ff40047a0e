"""Django's check of cross-site requests, on its own: the API is served without Django's middleware."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware


class _Headers(HttpRequest):
    """A request without its body: the CSRF token comes in a header, and no form is parsed to look for it."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        # Whoever asks knows that it changes something: Django lets every GET pass.
        self.method, self.META, self.COOKIES = "POST", request.META, request.COOKIES
        self._scheme = request.scheme or "http"

    def _get_scheme(self) -> str:
        return self._scheme


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return HttpResponse(reason)


def _no_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def csrf_failure(request: HttpRequest) -> str | None:
    """Why a request that changes something may have been sent by another site's page; None when it was not.

    Also of a GET that cancels a run when its client leaves. Changes `request.META`.
    """
    check = _CsrfCheck(_no_view)
    headers = _Headers(request)
    check.process_request(headers)
    refused = check.process_view(headers, _no_view, (), {})
    return refused.content.decode() if refused is not None else None
