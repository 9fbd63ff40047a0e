"""The local user, only for this machine's own connections.

And websockets, which have the same principals.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.http import QueryDict
from ninja.errors import HttpError

from runs.identity import keys
from runs.identity.local import is_loopback, may_be_local
from runs.identity.origins import may_connect
from runs.identity.principals import SCOPES, Principal
from runs.identity.requests import principal_of
from runs.identity.sockets import principal_of_scope
from tests.runs.identity.test_requests import asked, user_id
from tests.support.api import logged_in
from tests.support.rows import make_user
from threads.db.database import in_database, threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def local_user(run_settings: Any) -> Iterator[None]:
    run_settings(LOCAL_USER=True)
    yield
    threads.close()


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_local(peer: str) -> None:
    assert is_loopback(peer)


@pytest.mark.parametrize(
    "peer", [None, "", "10.0.0.1", "172.17.0.1", "8.8.8.8", "::ffff:8.8.8.8", "fe80::1%eth0", "localhost"]
)
async def test_another_machine_is_not(peer: str | None) -> None:
    assert not is_loopback(peer)
    request = asked()
    request.META["REMOTE_ADDR"] = peer
    with pytest.raises(HttpError) as caught:
        await principal_of(request)
    assert caught.value.status_code == 401


@pytest.mark.parametrize("header", [
    "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-server", "x-real-ip", "via", "true-client-ip",
    "x-client-ip", "x-cluster-client-ip", "cf-ray", "fly-client-ip", "x-amzn-trace-id", "x-envoy-external-address",
    "x-original-forwarded-for",
])  # fmt: skip
def test_what_a_proxy_forwards_is_not(header: str) -> None:
    assert may_be_local("127.0.0.1", {})
    assert not may_be_local("127.0.0.1", {header: "127.0.0.1"})


@pytest.mark.parametrize("host, named", [
    (None, True), ("localhost:8000", True), ("127.0.0.1", True), ("[::1]:8000", True), ("app.localhost:8000", True),
    ("testserver", True), ("evil.example", False), ("evil.example:8000", False), ("", False), ("127.0.0.1.evil.example", False),
    ("[", False), ("a b", False),
])  # fmt: skip
def test_a_name_that_anybody_may_point_here_has_no_local_user(
    settings: Any, host: str | None, named: bool
) -> None:
    """ "*" is not a name: a browser treats a page of such a host as one of this site's."""
    settings.ALLOWED_HOSTS = ["*", "testserver"]
    headers = {} if host is None else {"host": host}
    assert may_be_local("127.0.0.1", headers) is named


async def test_a_page_of_a_name_that_was_pointed_here_is_nobodys(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    for request in (
        asked(Host="evil.example"),
        asked("POST", Host="evil.example", Origin="http://evil.example"),
    ):
        with pytest.raises(HttpError) as caught:
            await principal_of(request)
        assert caught.value.status_code == 401
    with pytest.raises(HttpError) as caught:
        await principal_of_scope(handshake(host="evil.example", origin="http://evil.example"))
    assert caught.value.status_code == 401
    assert await principal_of(asked(Host="127.0.0.1:8000"))


@pytest.mark.parametrize(
    "site, refused", [("cross-site", True), ("same-site", True), ("same-origin", False), ("none", False)]
)
async def test_a_picture_on_another_page_cancels_nothing(site: str, refused: bool) -> None:
    """Its request has no origin, and ends with the page."""
    request = asked(Sec_Fetch_Site=site)
    request.GET = QueryDict("cancel_on_disconnect=1")  # type: ignore[assignment]
    with pytest.raises(HttpError) if refused else nullcontext():
        await principal_of(request)
    assert await principal_of(asked(Sec_Fetch_Site=site))


def handshake(peer: str = "127.0.0.1", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "websocket", "headers": pairs, "client": (peer, 1)}


async def test_a_socket_has_the_same_principals() -> None:
    local = await principal_of(asked())
    assert await principal_of_scope(handshake()) == local
    cookies = await in_database(logged_in, "ada")
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    ada = Principal(await in_database(user_id, "ada"))
    assert (
        await principal_of_scope(handshake(cookie=header, origin="http://testserver", host="testserver"))
        == ada
    )
    row, key = await in_database(lambda: keys.create(make_user().pk, scopes=SCOPES))
    assert await principal_of_scope(handshake("8.8.8.8", x_api_key=key)) == Principal(row.user_id)


@pytest.mark.parametrize("peer, headers, status", [
    ("8.8.8.8", {}, 401),
    ("127.0.0.1", {"origin": "https://evil.example"}, 403),
    ("127.0.0.1", {"x_api_key": "dfk_unknown"}, 401),
])  # fmt: skip
async def test_a_socket_that_is_nobodys_is_refused(peer: str, headers: dict[str, str], status: int) -> None:
    with pytest.raises(HttpError) as caught:
        await principal_of_scope(handshake(peer, **headers))
    assert caught.value.status_code == status


async def test_another_sites_page_cannot_use_a_session() -> None:
    cookies = await in_database(logged_in, "ada")
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    with pytest.raises(HttpError) as caught:
        await principal_of_scope(handshake(cookie=header, origin="https://evil.example"))
    assert caught.value.status_code == 403


async def test_a_page_that_the_operator_named_is_let_in_as_it_is_over_http(run_settings: Any) -> None:
    local = await principal_of(asked())
    named = handshake(origin="https://app.example")
    with pytest.raises(HttpError):
        await principal_of_scope(named)
    run_settings(LOCAL_USER=True, CORS_ORIGINS=["https://app.example"])
    assert await principal_of_scope(named) == local
    cookies = await in_database(logged_in, "ada")
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    with pytest.raises(HttpError):
        await principal_of_scope(handshake(cookie=header, origin="https://app.example"))
    run_settings(LOCAL_USER=True, CORS_ORIGINS=["*"])
    with pytest.raises(HttpError):
        await principal_of_scope(named)


async def test_a_page_shows_its_key_as_a_subprotocol() -> None:
    row, key = await in_database(lambda: keys.create(make_user().pk, scopes=SCOPES))
    page = handshake("8.8.8.8", origin="https://app.example")
    assert await principal_of_scope({**page, "subprotocols": ["api-key", key]}) == Principal(row.user_id)
    for offered in (
        [],
        [key],
        [key, "api-key"],
        ["api-key"],
        ["api-key", key, "more"],
        ["api-key", "dfk_unknown"],
    ):
        with pytest.raises(HttpError) as caught:
            await principal_of_scope({**page, "subprotocols": offered})
        assert caught.value.status_code == 401


@pytest.mark.parametrize(("origin", "allowed", "expected"), [
    (None, [], True),
    ("http://testserver", [], True),
    ("http://testserver:3000", [], False),
    ("https://app.example", [], False),
    ("https://app.example", ["https://app.example"], True),
    ("https://app.example:8443", ["https://app.example"], False),
    ("null", [], False),
    ("null", ["*"], True),
])  # fmt: skip
def test_whose_pages_may_open_a_socket(origin: str | None, allowed: list[str], expected: bool) -> None:
    assert may_connect(origin, allowed, host="testserver", scheme="http") is expected
