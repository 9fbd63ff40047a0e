"""API keys: their users, their scopes, and that they are not stored."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db import connection
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse
from langgraph_sdk import get_client
from langgraph_sdk.errors import NotFoundError, PermissionDeniedError
from ninja.errors import HttpError

from runs.identity import keys
from runs.identity.principals import READ, SCOPES, WRITE, Principal
from runs.identity.requests import principal_of
from runs.models import ApiKey
from tests.runs.identity.test_requests import asked
from tests.support.admin_site import sign_in, staff
from tests.support.api import url
from tests.support.rows import make_user
from threads.db import clock
from threads.db.database import in_database, threads

__all__ = ["url"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_local_user(run_settings: Any) -> Iterator[None]:
    run_settings(LOCAL_USER=False)
    yield
    threads.close()


def made(scopes: frozenset[str] = SCOPES, **fields: Any) -> tuple[ApiKey, str]:
    return keys.create(make_user().pk, scopes=scopes, **fields)


def on(path: str, method: str = "GET", **headers: str) -> HttpRequest:
    """A request to a route, resolved by the site's URLs."""
    request = asked(method, **headers)
    request.resolver_match = resolve(path)
    return request


async def refusal(request: HttpRequest) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        await principal_of(request)
    return caught.value.status_code, str(caught.value)


@pytest.mark.parametrize("header", ["X_Api_Key", "Authorization"])
async def test_a_key_is_its_user_and_needs_no_csrf_token(header: str) -> None:
    row, key = await in_database(made)
    value = key if header == "X_Api_Key" else f"bearer {key}"
    request = asked("POST", **{header: value}, Origin="https://elsewhere.example")
    assert await principal_of(request) == Principal(row.user_id)


async def test_a_key_goes_before_the_local_user_and_is_not_exchanged_for_it(run_settings: Any) -> None:
    run_settings(LOCAL_USER=True)
    row, key = await in_database(made)
    assert await principal_of(asked(X_Api_Key=key)) == Principal(row.user_id)
    await in_database(keys.revoke, row.id)
    assert await refusal(asked(X_Api_Key=key)) == (401, "The API key was revoked.")
    # Another service's key, which clients read from their environment.
    assert (await principal_of(asked(X_Api_Key="lsv2_pt_x"))).user_id != row.user_id


async def test_one_of_this_sites_keys_goes_before_another_services() -> None:
    row, key = await in_database(made)
    for headers in (
        {"X_Api_Key": "lsv2_x", "Authorization": f"Bearer {key}"},
        {"X_Api_Key": key, "Authorization": "Bearer x"},
    ):
        assert await principal_of(asked(**headers)) == Principal(row.user_id)


async def test_the_stock_client_takes_a_key(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one from its environment; a read-only key may follow a run."""
    row, key = await in_database(made)
    async with get_client(url=url, api_key=key) as client:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, "steps", input={"log": []})
        with pytest.raises(NotFoundError):
            await client.threads.get(str(row.id))
    _, reading = await in_database(lambda: keys.create(row.user_id, scopes=frozenset({READ})))
    monkeypatch.setenv("LANGGRAPH_API_KEY", reading)
    async with get_client(url=url) as client:
        modes = [
            part.event
            async for part in client.runs.join_stream(
                thread, run["run_id"], stream_mode="values", last_event_id="-1"
            )
        ]
        assert modes[0] == "metadata"
        with pytest.raises(PermissionDeniedError, match="needs a key with the scope 'write'"):
            await client.runs.cancel(thread, run["run_id"])


async def test_what_is_no_valid_key_is_refused() -> None:
    row, key = await in_database(made, expires_at=clock.now() + timedelta(hours=1))
    assert await refusal(asked(X_Api_Key=key[:-1])) == (401, "The API key is not known.")
    assert await refusal(asked(X_Api_Key="lsv2_pt_x")) == (401, "The API key is not one of this site's.")
    await in_database(ApiKey.objects.filter(id=row.id).update, expires_at=clock.now())
    assert await refusal(asked(X_Api_Key=key)) == (401, "The API key has expired.")
    row, key = await in_database(made)
    await in_database(lambda: type(row.user).objects.filter(pk=row.user_id).update(is_active=False))
    assert (await refusal(asked(X_Api_Key=key)))[0] == 401


@pytest.mark.parametrize(
    "method, path, scope",
    [
        ("GET", "/threads/1", READ),
        ("HEAD", "/threads/1", READ),
        ("POST", "/assistants/search", READ),
        ("POST", "/threads", WRITE),
        ("POST", "/threads/1/runs/stream", WRITE),
        ("POST", "/threads/1/runs/2/cancel", WRITE),
        ("DELETE", "/threads/1/runs/2", WRITE),
        ("GET", "/threads/1/runs/2/stream", READ),
        ("GET", "/threads/1/runs/2/stream?cancel_on_disconnect=false", READ),
        ("GET", "/threads/1/runs/2/stream?cancel_on_disconnect=0", READ),
        # A read that may end in a cancellation.
        ("GET", "/threads/1/runs/2/stream?cancel_on_disconnect=0&cancel_on_disconnect=true", WRITE),
        ("GET", "/threads/1/runs/2/stream?cancel_on_disconnect=1", WRITE),
    ],
)
async def test_a_route_needs_a_scope(method: str, path: str, scope: str) -> None:
    route, _, query = path.partition("?")
    for has in (READ, WRITE):
        row, key = await in_database(made, frozenset({has}))
        request = on(route, method, X_Api_Key=key)
        request.META["QUERY_STRING"] = query
        if has == scope:
            assert (await principal_of(request)).user_id == row.user_id
        else:
            said = f"The API key may {has}; this needs a key with the scope '{scope}'."
            assert await refusal(request) == (403, said)


def test_a_request_with_a_key_costs_one_query() -> None:
    row, key = made()
    keys.touch(row.id)
    with CaptureQueriesContext(connection) as captured:
        assert not keys.find(key).stale
    assert len(captured) == 1


async def test_the_last_use_is_noted_beside_the_request_and_seldom() -> None:
    row, key = await in_database(made)
    await principal_of(asked(X_Api_Key=key))
    for task in list(keys._touching):
        await task
    noted = (await in_database(ApiKey.objects.get, id=row.id)).last_used_at
    assert noted is not None
    await principal_of(asked(X_Api_Key=key))
    assert not keys._touching
    await in_database(ApiKey.objects.filter(id=row.id).update, last_used_at=noted - keys.TOUCH)
    await principal_of(asked(X_Api_Key=key))
    assert keys._touching
    for task in list(keys._touching):
        await task


def run_command(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


def test_commands_make_list_and_revoke_a_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    user = make_user()
    key = run_command("create_api_key", user.username, "--name=robot", "--scopes=read", "--days=30")
    assert keys.find(key).principal == Principal(user.pk, scopes=frozenset({READ}))
    [listed] = json.loads(run_command("list_api_keys", user.username, "--json"))["keys"]
    assert (listed["name"], listed["state"], listed["scopes"]) == ("robot", "valid", ["read"])
    assert run_command("list_api_keys").startswith(key[: keys.SHOWN])
    assert run_command("revoke_api_key", listed["prefix"]) == f"Revoked {listed['prefix']}…."
    with pytest.raises(keys.BadKey):
        keys.find(key)
    with pytest.raises(CommandError, match="is revoked already"):
        run_command("revoke_api_key", key)
    assert key not in caplog.text
    assert key not in str(list(ApiKey.objects.values()))


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("nobody",), "There is no user 'nobody'"),
        (("nobody", "--scopes=reed"), "'reed' is no scope; the scopes are read and write"),
        (("nobody", "--days=0"), "not a positive number"),
        (("nobody", "--days=4000"), "more than ten years"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run_command("create_api_key", *arguments)
    assert not ApiKey.objects.exists()


def test_the_admin_shows_a_new_key_once() -> None:
    client = sign_in(is_superuser=True)
    other = make_user()
    response = client.post(
        reverse("admin:runs_apikey_add"),
        {"user": other.pk, "name": "robot", "scopes": ["read"], "expires_at_0": "", "expires_at_1": ""},
    )
    key = response.context["key"]
    assert key in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert keys.find(key).principal == Principal(other.pk, scopes=frozenset({READ}))
    row = ApiKey.objects.get()
    for page in (
        reverse("admin:runs_apikey_changelist"),
        reverse("admin:runs_apikey_change", args=[row.pk]),
        reverse("admin:index"),
    ):
        shown = client.get(page).content.decode()
        assert key not in shown
        assert row.digest not in shown
    assert key not in str(list(LogEntry.objects.values()))


def test_the_admin_revokes_keys() -> None:
    row, key = made()
    url = reverse("admin:runs_apikey_changelist")
    action = {"action": "revoke_keys", "_selected_action": [row.pk]}
    staff("view_apikey").post(url, action)
    assert keys.find(key)
    staff("view_apikey", "change_apikey").post(url, action)
    with pytest.raises(keys.BadKey):
        keys.find(key)


def test_staff_make_keys_for_themselves_alone() -> None:
    client = staff("add_apikey", "view_apikey")
    root = make_user(is_superuser=True)
    fields = {"name": "", "scopes": ["read"], "expires_at_0": "", "expires_at_1": ""}
    client.post(reverse("admin:runs_apikey_add"), {"user": root.pk, **fields})
    assert not ApiKey.objects.exists()
    me = int(client.session["_auth_user_id"])
    client.post(reverse("admin:runs_apikey_add"), {"user": me, **fields})
    assert ApiKey.objects.get().user_id == me
