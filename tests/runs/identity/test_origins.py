"""Whose pages an Origin names: scheme, host and port, over HTTP and for websockets."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.test import RequestFactory

from runs.identity.origins import from_elsewhere, may_borrow, may_connect, scheme_of

SCHEMES = ("http", "https")
#: A port in the Origin or in the Host header, by the scheme of the page.
PORTS = {"": {"http": 80, "https": 443}, ":80": 80, ":443": 443, ":8000": 8000}


def port_of(text: str, scheme: str) -> int:
    port = PORTS[text]
    return port[scheme] if isinstance(port, dict) else port


@pytest.mark.parametrize(
    ("sent", "page", "of_page", "of_host"), list(itertools.product(SCHEMES, SCHEMES, PORTS, PORTS))
)
def test_a_page_is_this_sites_if_scheme_host_and_port_are(
    sent: str, page: str, of_page: str, of_host: str
) -> None:
    origin, host = f"{page}://testserver{of_page}", f"testserver{of_host}"
    # Without a header of the proxy, a request by HTTPS may seem to be one by HTTP, but never the reverse.
    own = port_of(of_page, page) == port_of(of_host, page) and (sent, page) != ("https", "http")
    assert from_elsewhere(origin, host, scheme=sent) is not own
    assert may_connect(origin, (), host=host, scheme=sent) is own
    assert may_borrow(origin, (), host=host, scheme=sent, local=False) is own


@pytest.mark.parametrize(
    ("scheme", "header", "expected"),
    [
        ("http", None, "http"),
        ("https", None, "https"),
        ("http", "https", "https"),
        ("https", "http", "http"),
        ("http", "https, http", "https"),
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_both_transports_know_how_a_request_was_sent(
    settings: Any, scheme: str, header: str | None, expected: str, trusted: bool
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if trusted else None
    headers = [] if header is None else [(b"x-forwarded-proto", header.encode())]
    scope = {"scheme": {"http": "ws", "https": "wss"}[scheme], "headers": headers}
    given = {} if header is None else {"HTTP_X_FORWARDED_PROTO": header}
    request = RequestFactory().get("/", secure=scheme == "https", **given)  # type: ignore[arg-type]
    assert scheme_of(scope) == request.scheme == (expected if trusted else scheme)
