"""Who asks: the one place where a request becomes a principal.

The API is served without Django's middleware, so this also checks what the middleware would: the Host header, and
that a browser's request comes from this site when the browser itself added what authenticates it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from django.conf import settings as django_settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.crypto import constant_time_compare
from ninja.errors import AuthenticationError, HttpError

from runs.conf import settings
from threads.database import in_database

LOCAL_USERNAME = "local"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: The built-in user's id, for each event loop: a process that serves has one.
_local_user: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks: one user of the site."""

    user_id: int


async def principal_of(request: HttpRequest) -> Principal:
    """Return the principal of a request: a session's user, or the local user where `LOCAL_USER` allows it.

    Raises:
        AuthenticationError: 401, nobody is logged in.
        HttpError: 403, a browser was sent here by another site.
        DisallowedHost: The Host header is not one of `ALLOWED_HOSTS`.
    """
    request.get_host()
    unsafe = request.method not in SAFE_METHODS
    session_key = request.COOKIES.get(django_settings.SESSION_COOKIE_NAME)
    user_id = None
    # A quoted cookie may hold any character, which not every database takes.
    if session_key and session_key.isprintable():
        user_id = await in_database(session_user_id, session_key)
    if user_id is not None:
        if unsafe and (reason := csrf_failure(request)):
            raise HttpError(403, f"CSRF check failed: {reason}")
        return Principal(user_id)
    if settings.LOCAL_USER:
        if unsafe and from_elsewhere(request.META.get("HTTP_ORIGIN")):
            raise HttpError(403, "Another site's pages cannot act as the local user.")
        return await local_principal()
    raise AuthenticationError(message="Authentication is required: log in to this site.")


def session_user_id(session_key: str) -> int | None:
    """The id of the active user whose session this is. Reads only: it renews and rotates nothing."""
    session: Mapping[str, Any] = import_module(django_settings.SESSION_ENGINE).SessionStore(session_key)
    backend_path = session.get(BACKEND_SESSION_KEY, "")
    if backend_path not in django_settings.AUTHENTICATION_BACKENDS:
        return None
    user_id = get_user_model()._meta.pk.to_python(session[SESSION_KEY])
    user: Any = load_backend(backend_path).get_user(user_id)
    if user is None:
        return None
    # A changed password ends the sessions that were opened with the old one.
    proof = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user.pk if any(constant_time_compare(proof, each) for each in hashes) else None


async def local_principal() -> Principal:
    """The built-in user of local development; nobody can log in as it."""
    loop = asyncio.get_running_loop()
    user_id = _local_user.get(loop)
    if user_id is None:
        user_id = _local_user[loop] = await in_database(local_user_id)
    return Principal(user_id)


def local_user_id() -> int:
    users = get_user_model().objects
    user, created = users.get_or_create(username=LOCAL_USERNAME)
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user.pk


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
