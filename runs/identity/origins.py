"""Whether another site's page sends a request: a browser adds its user's cookies, and reaches the user's own machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.csrf import CsrfViewMiddleware

from runs.conf import settings
from runs.identity.credentials import Proof
from runs.origins import is_allowed, is_listed


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


def may_connect(origin: str | None) -> bool:
    """Whether pages of this origin may open a websocket. Whose it is they have to show like everybody else."""
    return origin is None or not from_elsewhere(origin) or is_allowed(origin, settings.CORS_ORIGINS)


def may_borrow(origin: str | None, proof: Proof) -> bool:
    """Whether a page of this origin may act with a proof that the browser added, and not the page itself."""
    # The local user's is the only proof that pages which the operator has named need none of.
    named = proof is Proof.LOCAL and origin is not None and is_listed(origin, settings.CORS_ORIGINS)
    return named or not from_elsewhere(origin)
