"""One-time tickets: made over HTTP, used by one websocket of the same user on the same thread."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection

from runs.identity import keys, tickets
from runs.identity.auth_file import configured as auth_file
from runs.identity.principals import SCOPES
from runs.identity.sockets import take_ticket
from runs.models import ApiKey, SocketTicket
from runs.retention.leftovers import expired_tickets, old_tickets
from tests.runs.identity import auth_sample
from tests.support.api import http, logged_in, url
from tests.support.sockets import Socket, socket
from threads.db import clock
from threads.db.database import in_database, threads
from threads.redaction import redacted_text

__all__ = ["http", "url"]

pytestmark = pytest.mark.django_db(transaction=True)

OWN = "http://testserver"


@pytest.fixture(autouse=True)
def strangers(run_settings: Any) -> Any:
    run_settings(LOCAL_USER=False, IDENTITY_CHECK=0.2, STREAM_HEARTBEAT=0.1)
    yield
    threads.close()


def session(username: str = "ada") -> dict[str, str]:
    cookies = logged_in(username)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": cookie, "X-CSRFToken": cookies["csrftoken"]}


def key(username: str = "ada", scopes: frozenset[str] = SCOPES) -> dict[str, str]:
    users = get_user_model().objects
    user = users.filter(username=username).first() or users.create_user(username)
    return {"X-Api-Key": keys.create(user.pk, scopes=scopes)[1]}


async def ticket(http: httpx.AsyncClient, thread: str, headers: dict[str, str]) -> str:
    answer = await http.post(f"/threads/{thread}/ticket", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["expires_in"] == 30
    return str(answer.json()["ticket"])


@asynccontextmanager
async def opened(thread: str, shown: str, **options: Any) -> AsyncIterator[Socket]:
    async with socket(thread, query=f"ticket={shown}", **options) as client:
        yield client


async def works(client: Socket) -> bool:
    return (await client.command("subscription.subscribe", channels=["lifecycle"]))["type"] == "success"


async def refusal(thread: str, shown: str, **options: Any) -> tuple[int, str]:
    async with opened(thread, shown, **options) as client:
        return await client.closed()


@pytest.mark.parametrize("who", [session, key])
async def test_a_ticket_opens_one_socket_as_its_maker(http: httpx.AsyncClient, who: Any) -> None:
    thread, headers = str(uuid4()), await in_database(who)
    shown = await ticket(http, thread, headers)
    async with opened(thread, shown) as client:
        started = await client.command("run.start", assistant_id="steps", input={"log": []})
        run = started["result"]["run_id"]
        assert (await http.get(f"/threads/{thread}/runs/{run}", headers=headers)).status_code == 200
        other = await in_database(key, "bob")
        assert (await http.get(f"/threads/{thread}/runs/{run}", headers=other)).status_code == 404
        assert await refusal(thread, shown) == (4409, "The ticket was used before.")
        assert await works(client)


async def test_of_many_sockets_with_one_ticket_one_is_opened(http: httpx.AsyncClient) -> None:
    thread = str(uuid4())
    shown = await ticket(http, thread, await in_database(key))

    async def attempt() -> bool:
        async with opened(thread, shown) as client:
            await client.send({"id": 1, "method": "nonsense", "params": {}})
            with suppress(AssertionError):
                return (await client.receive())["error"] == "unknown_command"
            return False

    assert sum(await asyncio.gather(*(attempt() for _ in range(8)))) == 1


async def test_a_ticket_is_for_its_thread_and_its_time(http: httpx.AsyncClient) -> None:
    thread, headers = str(uuid4()), await in_database(key)
    shown = await ticket(http, thread, headers)
    assert await refusal(str(uuid4()), shown) == (4403, "The ticket is for another thread.")
    # A wrong thread does not use it up.
    async with opened(thread, shown) as client:
        assert await works(client)
    unknown = (4401, "The ticket is unknown or has expired.")
    assert await refusal(thread, "dft_" + "x" * 43) == unknown
    assert await refusal(thread, "") == unknown
    assert await refusal(thread, "%FF%00'\"") == unknown
    late = await ticket(http, thread, headers)
    await in_database(SocketTicket.objects.update, expires_at=clock.now())
    assert await refusal(thread, late) == unknown


async def test_a_ticket_that_is_refused_leaves_its_holder_without_other_credentials(
    http: httpx.AsyncClient,
) -> None:
    headers = await in_database(session)
    assert (await refusal(str(uuid4()), "dft_wrong", headers=headers))[0] == 4401


async def test_a_ticket_acts_as_its_maker_and_not_as_the_one_who_shows_it(http: httpx.AsyncClient) -> None:
    thread, ada, bob = str(uuid4()), await in_database(key), await in_database(session, "bob")
    await http.post("/threads", json={"thread_id": thread}, headers=ada)
    shown = await ticket(http, thread, ada)
    async with opened(thread, shown, headers={"Cookie": bob["Cookie"]}) as client:
        assert (await client.command("state.get"))["type"] == "success"


async def test_a_ticket_for_another_users_thread_shows_nothing(http: httpx.AsyncClient) -> None:
    thread, ada, bob = str(uuid4()), await in_database(key), await in_database(key, "bob")
    await http.post("/threads", json={"thread_id": thread}, headers=ada)
    async with opened(thread, await ticket(http, thread, bob)) as client:
        assert (await client.command("state.get"))["type"] == "error"


async def test_a_key_that_only_reads_makes_tickets_that_only_read(http: httpx.AsyncClient) -> None:
    thread, headers = str(uuid4()), await in_database(key, "ada", frozenset({"read"}))
    async with opened(thread, await ticket(http, thread, headers)) as client:
        assert (await client.command("subscription.subscribe", channels=["values"]))["type"] == "success"
        refused = await client.command("run.start", assistant_id="steps", input={"log": []})
        assert refused["error"] == "permission_denied"


@pytest.mark.parametrize(
    ("who", "end"),
    [
        (key, lambda: ApiKey.objects.update(revoked_at=clock.now())),
        (session, Session.objects.all().delete),
        (session, lambda: get_user_model().objects.update(is_active=False)),
    ],
    ids=["revoked", "logged out", "locked out"],
)
@pytest.mark.parametrize("before", [True, False], ids=["before", "while open"])
async def test_a_ticket_ends_with_its_makers_credentials(
    http: httpx.AsyncClient, who: Any, end: Any, before: bool
) -> None:
    thread = str(uuid4())
    shown = await ticket(http, thread, await in_database(who))
    if before:
        await in_database(end)
        assert (await refusal(thread, shown))[0] == 4401
        return
    async with opened(thread, shown) as client:
        assert await works(client)
        await in_database(end)
        assert (await client.closed())[0] == 4401


@pytest.mark.parametrize(
    ("origin", "allowed", "connects"),
    [
        (OWN, (), True),
        (None, (), True),
        ("https://elsewhere.example", (), False),
        ("https://elsewhere.example", ("https://elsewhere.example",), True),
        ("null", (), False),
    ],
)
async def test_the_origin_is_checked_as_for_any_socket(
    http: httpx.AsyncClient, run_settings: Any, origin: str | None, allowed: tuple[str, ...], connects: bool
) -> None:
    run_settings(CORS_ORIGINS=allowed)
    thread = str(uuid4())
    shown = await ticket(http, thread, await in_database(session))
    headers = {"Host": "testserver", **({"Origin": origin} if origin else {})}
    if not connects:
        with pytest.raises(ConnectionRefusedError):
            await refusal(thread, shown, headers=headers)
        return
    async with opened(thread, shown, headers=headers) as client:
        assert await works(client)


async def test_who_may_not_make_one(http: httpx.AsyncClient) -> None:
    path, ada = f"/threads/{uuid4()}/ticket", await in_database(session)
    assert (await http.post(path)).status_code == 401
    assert (await http.post(path, headers={"Cookie": ada["Cookie"]})).status_code == 403
    assert (await http.post("/threads/nonsense/ticket", headers=ada)).status_code == 422
    assert (await http.get(path, headers=ada)).status_code == 405
    assert await in_database(SocketTicket.objects.count) == 0


async def test_a_user_has_so_many_unused_tickets(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_CONNECTIONS=2)
    thread, headers = str(uuid4()), await in_database(key)
    first = await ticket(http, thread, headers)
    await ticket(http, thread, headers)
    full = await http.post(f"/threads/{thread}/ticket", headers=headers)
    assert (full.status_code, full.headers["Retry-After"]) == (429, "30")
    assert (
        await http.post(f"/threads/{thread}/ticket", headers=await in_database(key, "bob"))
    ).status_code == 200
    async with opened(thread, first):
        await ticket(http, thread, headers)
    await in_database(SocketTicket.objects.update, expires_at=clock.now())
    await ticket(http, thread, headers)
    # Expired ones are removed with the user's next, or by the sweep.
    assert await in_database(SocketTicket.objects.filter(user__username="ada").count) == 1


async def test_headers_too_large_to_be_stored_are_refused(http: httpx.AsyncClient) -> None:
    headers = {**await in_database(key), **{f"X-Large-{number}": "x" * 8000 for number in range(5)}}
    answer = await http.post(f"/threads/{uuid4()}/ticket", headers=headers)
    assert answer.status_code == 413


def everything() -> str:
    """All rows of all tables, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                found += [bytes(each) if isinstance(each, memoryview) else each for each in row]
    return repr(found)


@pytest.mark.parametrize("used", [False, True])
async def test_no_ticket_and_no_credential_is_in_the_database(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, used: bool
) -> None:
    thread, headers = str(uuid4()), await in_database(key)
    with caplog.at_level(logging.DEBUG):
        shown = await ticket(http, thread, headers)
        if used:
            async with opened(thread, shown) as client:
                assert await works(client)
    stored = await in_database(everything)
    assert tickets.digest(shown) in stored
    assert shown not in stored
    assert headers["X-Api-Key"] not in stored
    row = await in_database(SocketTicket.objects.get)
    assert (bytes(row.sealed) == b"") == used
    # Servers hide it in what they log; so do the formatters of the site.
    assert shown not in redacted_text(f"WebSocket /threads/x/stream/events?ticket={shown} [accepted]")
    assert redacted_text(shown) == "***"


def test_servers_do_not_see_the_ticket_in_the_query() -> None:
    scope: dict[str, Any] = {"query_string": b"a=1&ticket=dft_x&b=2"}
    take_ticket(scope)
    assert scope == {"query_string": b"a=1&b=2", "ticket": "dft_x"}
    none: dict[str, Any] = {"query_string": b"tickets=1"}
    take_ticket(none)
    assert none == {"query_string": b"tickets=1"}


def test_what_a_ticket_seals_only_it_can_read() -> None:
    text = json.dumps({"x-api-key": "dfk_" + "k" * 43}).encode()
    closed = tickets.sealed("dft_one", text)
    assert len(closed) == len(text)
    assert closed not in (text, tickets.sealed("dft_two", text))
    assert tickets.sealed("dft_one", closed) == text
    assert tickets.sealed("dft_one", b"") == b""


def test_the_sweep_removes_expired_tickets() -> None:
    user = get_user_model().objects.create_user("ada")
    for number in range(5):
        tickets.create(user.pk, UUID(int=number), {})
    SocketTicket.objects.filter(thread_id__lt=UUID(int=3)).update(
        expires_at=clock.now() - timedelta(seconds=1)
    )
    assert expired_tickets(clock.now()).count() == 3
    assert sum(count for _, count in old_tickets(rows=2)) == 3
    assert SocketTicket.objects.count() == 2
    user.delete()
    assert SocketTicket.objects.count() == 0


async def test_an_auth_file_is_asked_with_the_makers_headers(
    http: httpx.AsyncClient, run_settings: Any, tmp_path: Any
) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"graphs": {}, "auth": {"path": "tests.runs.identity.auth_sample:auth"}}))
    auth_file._load.cache_clear()
    auth_sample.asked.clear()
    run_settings(LANGGRAPH_JSON=str(file), GRAPHS={"steps": "tests.support.graphs:steps"})
    try:
        headers = {"Authorization": "Bearer ada"}
        thread = (await http.post("/threads", json={}, headers=headers)).json()["thread_id"]
        auth_sample.asked.clear()
        shown = await ticket(http, thread, headers)
        assert [each[:3] for each in auth_sample.asked] == [("threads", "read", "ada")]
        async with opened(thread, shown) as client:
            assert await works(client)
        assert {each[2] for each in auth_sample.asked} == {"ada"}
        assert "Bearer ada" not in await in_database(everything)
    finally:
        auth_file._load.cache_clear()
