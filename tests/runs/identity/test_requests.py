"""The principal of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, QueryDict
from django.test import AsyncRequestFactory
from ninja.errors import AuthenticationError, HttpError

from runs.identity.credentials import UNKNOWN
from runs.identity.origins import from_elsewhere
from runs.identity.principals import Principal
from runs.identity.requests import principal_of
from tests.support.api import logged_in
from threads.db.database import in_database, threads

pytestmark = pytest.mark.django_db(transaction=True)

CSRF = "a" * 32


@pytest.fixture(autouse=True)
def no_local_user(run_settings: Any) -> Iterator[None]:
    run_settings(LOCAL_USER=False)
    yield
    threads.close()


def asked(method: str = "GET", *, cookies: dict[str, str] | None = None, **headers: str) -> HttpRequest:
    request = AsyncRequestFactory().generic(method, "/threads")
    request.COOKIES.update(cookies or {})
    request.META.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    return request


def user_id(username: str) -> int:
    return get_user_model().objects.get(username=username).pk


async def refused(request: HttpRequest) -> HttpError:
    with pytest.raises(HttpError) as caught:
        await principal_of(request)
    return caught.value


async def test_nobody_is_nobody() -> None:
    error = await refused(asked())
    assert isinstance(error, AuthenticationError)
    assert (error.status_code, str(error)) == (401, UNKNOWN)


async def test_a_session_is_its_user() -> None:
    cookies = await in_database(logged_in, "ada")
    assert await principal_of(asked(cookies=cookies)) == Principal(await in_database(user_id, "ada"))


@pytest.mark.parametrize("key", ["", "x", "\0" * 32, "a" * 32, "../../etc"])
async def test_a_session_that_does_not_exist_is_nobody(key: str) -> None:
    cookies = {django_settings.SESSION_COOKIE_NAME: key}
    assert (await refused(asked(cookies=cookies))).status_code == 401


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "changed"}])
async def test_a_session_ends_with_its_user_and_with_the_password(change: dict[str, Any]) -> None:
    cookies = await in_database(logged_in, "ada")
    await in_database(lambda: get_user_model().objects.filter(username="ada").update(**change))
    assert (await refused(asked(cookies=cookies))).status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_session_changes_nothing_without_a_csrf_token(method: str) -> None:
    cookies = await in_database(logged_in, "ada")
    error = await refused(asked(method, cookies=cookies))
    assert error.status_code == 403
    assert "CSRF" in str(error)


async def test_a_stream_whose_end_cancels_a_run_needs_the_csrf_token() -> None:
    """A link that another site's page opens and closes is a GET."""
    cookies = await in_database(logged_in, "ada")

    def leaving(said: str, **headers: str) -> HttpRequest:
        request = asked(cookies=cookies, **headers)
        request.GET = QueryDict(f"cancel_on_disconnect={said}")  # type: ignore[assignment]
        return request

    for said in ("1", "true", "yes"):
        assert (await refused(leaving(said))).status_code == 403
        elsewhere = leaving(said, X_CSRFToken=CSRF, Origin="https://evil.example")
        assert (await refused(elsewhere)).status_code == 403
        assert await principal_of(leaving(said, X_CSRFToken=CSRF))
    for said in ("", "false"):
        assert await principal_of(leaving(said))


async def test_a_session_changes_what_it_likes_with_the_csrf_token() -> None:
    cookies = await in_database(logged_in, "ada")
    request = asked("POST", cookies=cookies, X_CSRFToken=CSRF)
    assert await principal_of(request) == Principal(await in_database(user_id, "ada"))


async def test_a_token_does_not_help_another_sites_page() -> None:
    cookies = await in_database(logged_in, "ada")
    request = asked("POST", cookies=cookies, X_CSRFToken=CSRF, Origin="https://evil.example")
    assert (await refused(request)).status_code == 403


async def test_without_credentials_local_development_has_one_user(run_settings: Any) -> None:
    run_settings(LOCAL_USER=True)
    principal = await principal_of(asked("POST"))
    assert principal == await principal_of(asked())
    local = await in_database(get_user_model().objects.get, username="local")
    assert principal == Principal(local.pk)
    assert not local.has_usable_password()
    assert not local.is_staff


async def test_a_session_goes_before_the_local_user(run_settings: Any) -> None:
    run_settings(LOCAL_USER=True)
    cookies = await in_database(logged_in, "ada")
    assert await principal_of(asked(cookies=cookies)) == Principal(await in_database(user_id, "ada"))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("allowed", [(), ("loopback",), ("*",)])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example", "http://", "http://[", "x"]
)
async def test_another_sites_page_cannot_act_as_the_local_user(
    run_settings: Any, origin: str, allowed: tuple[str, ...], method: str
) -> None:
    """It cannot read the local user's rows either, even with "*" as an allowed origin."""
    run_settings(LOCAL_USER=True, CORS_ORIGINS=allowed)
    assert (await refused(asked(method, Origin=origin))).status_code == 403


async def test_a_page_that_was_named_acts_as_the_local_user(run_settings: Any) -> None:
    run_settings(LOCAL_USER=True, CORS_ORIGINS=("https://known.example", "loopback"))
    for origin in ("https://known.example", "http://localhost:3000"):
        for method in ("GET", "POST"):
            assert await principal_of(asked(method, Origin=origin))


@pytest.mark.parametrize(("origin", "host", "elsewhere"), [
    (None, "testserver", False),
    ("http://testserver", "testserver", False),
    ("http://testserver:80", "testserver", False),
    ("https://testserver", "testserver:443", False),
    ("http://testserver:8000", "TESTSERVER:8000", False),
    ("http://testserver:3000", "testserver:8000", True),
    ("http://testserver:3000", "testserver", True),
    ("http://testserver", None, True),
    ("http://evil.example", "evil.example", True),
    ("ftp://testserver", "testserver", True),
    ("null", "testserver", True),
    ("http://[::1", "testserver", True),
])  # fmt: skip
def test_this_sites_own_pages_come_from_its_scheme_host_and_port(
    origin: str | None, host: str | None, elsewhere: bool
) -> None:
    assert from_elsewhere(origin, host, scheme="http") is elsewhere


def test_where_cookies_are_for_https_alone_pages_by_http_are_another_sites(settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = True
    assert from_elsewhere("http://testserver", "testserver", scheme="http")
    assert not from_elsewhere("https://testserver", "testserver", scheme="http")


async def test_a_foreign_host_name_is_refused(run_settings: Any) -> None:
    run_settings(LOCAL_USER=True)
    with pytest.raises(DisallowedHost):
        await principal_of(asked(Host="evil.example"))
