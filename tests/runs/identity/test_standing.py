"""Streams end when their readers lose permission."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import OperationalError
from langgraph_sdk import get_client
from langgraph_sdk.errors import AuthenticationError as Unauthenticated

from runs.identity import keys
from runs.identity.credentials import Credentials
from runs.identity.principals import SCOPES, Principal
from runs.identity.standing import Standing
from runs.models import ApiKey, Run
from tests.runs.api.routes.test_streams import sleep, until
from tests.support.api import http, logged_in, url
from threads.db import clock
from threads.db.database import in_database, threads

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

#: All streams that last as long as a run, or are endless: method, path, body.
STREAMS: dict[str, tuple[str, str, Any]] = {
    "create and stream": ("POST", "/threads/{t}/runs/stream", sleep(30)),
    "create and wait": ("POST", "/threads/{t}/runs/wait", sleep(30)),
    "join": ("GET", "/threads/{t}/runs/{r}/join", None),
    "join without a thread": ("GET", "/runs/{r}/join", None),
    "join the stream": ("GET", "/threads/{t}/runs/{r}/stream?cancel_on_disconnect=true", None),
    "thread": ("GET", "/threads/{t}/stream", None),
    "protocol": ("POST", "/threads/{t}/stream/events", {"channels": ["lifecycle"]}),
}


@pytest.fixture(autouse=True)
def impatient(run_settings: Any) -> Iterator[None]:
    run_settings(LOCAL_USER=False, STREAM_HEARTBEAT=0.1, IDENTITY_CHECK=0.2)
    yield
    threads.close()


def make_key(username: str = "ada") -> dict[str, str]:
    users = get_user_model().objects
    user = users.filter(username=username).first() or users.create_user(username)
    return {"X-Api-Key": keys.create(user.pk, scopes=SCOPES)[1]}


def revoke() -> None:
    ApiKey.objects.update(revoked_at=clock.now())


def make_session() -> dict[str, str]:
    cookies = logged_in("ada")
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        "X-CSRFToken": cookies[django_settings.CSRF_COOKIE_NAME],
    }


def lock_out() -> None:
    get_user_model().objects.update(is_active=False)


async def running(http: httpx.AsyncClient) -> dict[str, str]:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    run = (await http.post(f"/threads/{thread}/runs", json=sleep(30))).json()["run_id"]
    await until(http, f"/threads/{thread}/runs/{run}", "running")
    return {"t": thread, "r": run}


async def read(http: httpx.AsyncClient, method: str, path: str, body: Any, begun: asyncio.Event) -> None:
    async with http.stream(method, path, json=body) as answer:
        assert answer.status_code == 200
        async for _ in answer.aiter_raw():
            begun.set()


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    "show, end",
    [(make_key, revoke), (make_key, lock_out), (make_session, Session.objects.all().delete)],
    ids=["revoked", "locked out", "logged out"],
)
async def test_a_stream_is_cut_off_when_its_reader_is_nobody_any_more(
    http: httpx.AsyncClient, show: Any, end: Any, name: str
) -> None:
    http.headers.update(await in_database(show))
    ids = (
        await running(http)
        if "create" not in name
        else {"t": (await http.post("/threads", json={})).json()["thread_id"]}
    )
    method, path, body = STREAMS[name]
    begun = asyncio.Event()
    reading = asyncio.create_task(read(http, method, path.format_map(ids), body, begun))
    async with asyncio.timeout(10):
        await begun.wait()
        # Longer than the interval of the checks: readers whose permission is unchanged continue.
        await asyncio.sleep(0.5)
        assert not reading.done()
        await in_database(end)
        with pytest.raises(httpx.RemoteProtocolError):
            await reading
    # The client has not disconnected.
    assert await in_database(Run.objects.get) and (await in_database(Run.objects.get)).status == "running"


async def test_the_stock_client_is_told_why(url: str) -> None:
    headers = await in_database(make_key)
    async with (
        httpx.AsyncClient(base_url=url, headers=headers) as http,
        get_client(url=url, headers=headers) as sdk,
    ):
        ids = await running(http)
        waiting = asyncio.create_task(sdk.runs.join(ids["t"], ids["r"]))
        await asyncio.sleep(0.5)
        await in_database(revoke)
        with (
            pytest.raises((httpx.HTTPStatusError, Unauthenticated), match="401"),
            pytest.warns(match="reconnect"),
        ):
            async with asyncio.timeout(10):
                await waiting


async def test_a_stream_ends_with_its_thread(http: httpx.AsyncClient) -> None:
    http.headers.update(await in_database(make_key))
    ids = await running(http)
    begun = [asyncio.Event() for _ in range(2)]
    readers = [
        asyncio.create_task(
            read(http, *STREAMS["thread"][:1], STREAMS["thread"][1].format_map(ids), None, begun[0])
        ),
        asyncio.create_task(read(http, "GET", f"/runs/{ids['r']}/stream", None, begun[1])),
    ]
    async with asyncio.timeout(10):
        for each in begun:
            await each.wait()
        assert (await http.delete(f"/threads/{ids['t']}")).status_code == 204
        await asyncio.gather(*readers)


class TestStanding:
    @staticmethod
    def of(headers: dict[str, str], user_id: int) -> Standing:
        return Standing(Principal(user_id), Credentials({"x-api-key": headers["X-Api-Key"]}, {}, None))

    async def test_readers_with_the_same_key_are_asked_about_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = await in_database(make_key)
        user_id = (await in_database(get_user_model().objects.get)).pk
        found: list[str] = []
        find = keys.find
        monkeypatch.setattr(keys, "find", lambda key: (found.append(key), find(key))[1])
        readers = [self.of(headers, user_id) for _ in range(10)]
        for _ in range(3):
            await asyncio.gather(*(reader.check() for reader in readers))
        assert not found
        await asyncio.sleep(0.25)
        for _ in range(3):
            await asyncio.gather(*(reader.check() for reader in readers))
        assert len(found) == 1

    async def test_a_database_that_does_not_answer_locks_nobody_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = await in_database(make_key)
        reader = self.of(headers, (await in_database(get_user_model().objects.get)).pk)
        with monkeypatch.context() as patch:

            def away(key: str) -> Any:
                raise OperationalError("the database is away")

            patch.setattr(keys, "find", away)
            await asyncio.sleep(0.25)
            await reader.check()
        await in_database(revoke)
        await asyncio.sleep(0.25)
        with pytest.raises(Exception, match="revoked"):
            await reader.check()

    async def test_credentials_of_somebody_else_end_it(self) -> None:
        headers = await in_database(make_key)
        reader = self.of(headers, 10**6)
        await asyncio.sleep(0.25)
        with pytest.raises(Exception, match="another user"):
            await reader.check()
