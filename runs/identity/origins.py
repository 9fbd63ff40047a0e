"""Origins of pages, as browsers report them: this site's own, and other sites that may use the API.

Pages of other sites authenticate by a key, never by cookies. A browser sends a user's cookies with
the requests of any page, so a site that may use them could do everything that the user can.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

#: Any site; and pages of development servers on this machine.
ANY, LOOPBACK = "*", "loopback"
PORTS = {"http": 80, "https": 443}
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


def is_allowed(origin: str, allowed: Collection[str]) -> bool:
    """Whether pages of this origin may use the API.

    Args:
        origin: The value of the header `Origin`; "null" if the page hides its origin.
        allowed: Origins (`https://example.com`), "*" for any, "loopback" for any port of this machine's own names.
    """
    origin = origin.lower()
    return ANY in allowed or is_listed(origin, allowed)


def is_listed(origin: str, allowed: Collection[str]) -> bool:
    """Whether an origin is allowed by its own name, so that the operator knows it."""
    origin = origin.lower()
    if any(origin == each.lower() for each in allowed if each not in (ANY, LOOPBACK)):
        return True
    return LOOPBACK in allowed and is_origin(origin) and urlsplit(origin).hostname in LOOPBACK_HOSTS


def is_origin(text: str) -> bool:
    """Whether this has the form of an origin: scheme, host, and port unless it is the default."""
    return _ORIGIN.fullmatch(text.lower()) is not None


def from_elsewhere(origin: str | None, host: str | None, *, scheme: str) -> bool:
    """Whether a browser reports that a page of another site sends the request.

    Another port of the same host is another site, and so is another scheme.

    Args:
        origin: The value of the header `Origin`.
        host: The value of the header `Host`.
        scheme: How the request was sent, "http" or "https", as far as Django knows.
    """
    if origin is None:
        return False
    try:
        page = urlsplit(origin.lower())
        domain, _ = split_domain_port(page.netloc)
        port = page.port or PORTS.get(page.scheme)
        own = urlsplit(f"{page.scheme}://{(host or '').lower()}")
        same = page.hostname == own.hostname and port == (own.port or PORTS.get(page.scheme))
    except ValueError:
        return True
    if not same or not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return True
    # A proxy that ends TLS may not tell, so a page of the HTTPS site passes on a request that seems to be HTTP.
    secure = scheme == "https" or settings.SESSION_COOKIE_SECURE
    return page.scheme not in (("https",) if secure else ("http", "https"))


def scheme_of(scope: Mapping[str, Any]) -> str:
    """How a websocket's handshake was sent, as `HttpRequest.scheme` says it of a request."""
    name, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    header = name.removeprefix("HTTP_").replace("_", "-").lower().encode()
    given = [found for key, found in scope.get("headers", ()) if key.lower() == header]
    if name and given:
        return "https" if given[0].split(b",")[0].strip() == value.encode() else "http"
    return {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http")


def is_named_host(host: str | None) -> bool:
    """Whether a Host header names this machine or a host of `ALLOWED_HOSTS`.

    An entry "*" does not count. True without a Host header.
    """
    if host is None:
        return True
    domain, _ = split_domain_port(host.lower())
    if domain.strip("[]") in LOOPBACK_HOSTS:
        return True
    return validate_host(domain, [each for each in (*settings.ALLOWED_HOSTS, ".localhost") if each != ANY])


def may_connect(origin: str | None, allowed: Collection[str], *, host: str | None, scheme: str) -> bool:
    """Whether pages of this origin may open a websocket. Authentication is a separate check."""
    return origin is None or not from_elsewhere(origin, host, scheme=scheme) or is_allowed(origin, allowed)


def may_borrow(
    origin: str | None, allowed: Collection[str], *, host: str | None, scheme: str, local: bool
) -> bool:
    """Whether a page of this origin may use credentials that the browser, not the page, has added.

    Args:
        host: The value of the header `Host`.
        scheme: How the request was sent, "http" or "https".
        allowed: Other sites that may use the API. With "*", a browser would show any page the
            answers.
        local: Whether the request would act as the local user. Pages that are allowed by name may
            do that, but may not use any other credentials of the browser.
    """
    named = local and origin is not None and is_listed(origin, allowed)
    return named or not from_elsewhere(origin, host, scheme=scheme)
