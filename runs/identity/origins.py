"""Whether another site's page sends a request: a browser adds its user's cookies, and reaches the user's own machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.csrf import CsrfViewMiddleware


class _Headers(HttpRequest):
    """A request without its body: the CSRF token comes in a header, and no form is parsed to look for it."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        self.method, self.META, self.COOKIES = request.method, request.META, request.COOKIES
        self._scheme = request.scheme or "http"

    def _get_scheme(self) -> str:
        return self._scheme


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return HttpResponse(reason)


def _no_view(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def csrf_failure(request: HttpRequest) -> str | None:
    """Why a request may have been sent by another site's page; None when it was not. Changes `request.META`."""
    check = _CsrfCheck(_no_view)
    headers = _Headers(request)
    check.process_request(headers)
    refused = check.process_view(headers, _no_view, (), {})
    return refused.content.decode() if refused is not None else None


def from_elsewhere(origin: str | None) -> bool:
    """Whether a browser says that the page which sends the request is not one of this site's hosts."""
    if origin is None:
        return False
    try:
        domain, _ = split_domain_port(urlsplit(origin).netloc)
    except ValueError:
        return True
    return not domain or not validate_host(domain, django_settings.ALLOWED_HOSTS)
