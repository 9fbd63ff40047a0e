"""Permissions of the streaming protocol's commands and connections, on both transports."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError

from runs.api.routes import consumers
from runs.api.sessions.session import Session
from runs.identity import keys
from runs.identity.auth_file.rules import COMMANDS
from runs.identity.principals import WRITE
from runs.models import ApiKey, Run
from runs.requests import limits
from tests.runs.api.test_tenancy import World, everything, filled, scrubbed, world
from tests.support.api import http, url
from tests.support.sockets import Json, Socket, socket
from threads.db import clock
from threads.db.database import in_database

__all__ = ["http", "url", "world"]

pytestmark = pytest.mark.django_db(transaction=True)

LIFECYCLE = {"channels": ["lifecycle"]}
START = {"assistant_id": "steps", "input": {"log": []}}
#: The owner's request, the owner's answer, and the answer of other users for the owner's thread.
SENT: dict[str, tuple[Json, str, str]] = {
    "agent.getTree": ({}, "success", "no_such_run"),
    "state.get": ({}, "success", "unknown_error"),
    "state.listCheckpoints": ({}, "success", "unknown_error"),
    "subscription.subscribe": (LIFECYCLE, "success", "success"),
    "subscription.reconnect": (LIFECYCLE, "success", "success"),
    "input.respond": ({"interrupt_id": "x", "response": 1}, "no_such_interrupt", "no_such_interrupt"),
    "state.fork": ({"checkpoint_id": "{k}", "input": {"log": []}}, "success", "unknown_error"),
    "run.start": (START, "success", "unknown_error"),
}


def outcome(answer: Json) -> str:
    return str(answer["error"] if answer["type"] == "error" else answer["type"])


class OverHTTP:
    """A socket's commands by POST."""

    def __init__(self, http: httpx.AsyncClient, thread: str, headers: dict[str, str]) -> None:
        self._http, self._path, self._headers = http, f"/threads/{thread}/commands", headers
        self.events: list[Json] = []

    async def command(self, method: str, **params: Any) -> Json:
        body = {"id": 1, "method": method, "params": params}
        answer = await self._http.post(self._path, json=body, headers=self._headers)
        assert answer.status_code == 200
        return dict(answer.json())


async def outcomes(
    client: Socket | OverHTTP, world: World, thread: str, *, but: tuple[str, ...] = ()
) -> dict[str, Json]:
    """The answer to each command, without varying parts."""
    found = {}
    for method, (params, _, _) in SENT.items():
        if method not in but and (isinstance(client, Socket) or not method.startswith("subscription.")):
            found[method] = await client.command(method, **filled(params, {**world.ids, "t": thread}))
    return found


def test_each_command_has_a_rule_and_a_line() -> None:
    session = Session(uuid4(), None)  # type: ignore[arg-type]
    subscriptions = {name for name in COMMANDS if name.startswith("subscription.")}
    assert set(session._methods) | subscriptions == set(COMMANDS) == set(SENT)


@pytest.mark.parametrize("transport", ["http", "socket"])
@pytest.mark.parametrize("caller", ["owner", "reader", "writer", "other", "staff"])
async def test_a_command_is_for_those_who_may(world: World, transport: str, caller: str) -> None:
    before = await in_database(everything)

    async def ask(thread: str, **options: Any) -> dict[str, Json]:
        if transport == "http":
            return await outcomes(
                OverHTTP(world.http, thread, world.callers[caller]), world, thread, **options
            )
        async with socket(thread, world.callers[caller]) as client:
            answers = await outcomes(client, world, thread, **options)
            assert bool(client.events) is (caller in ("owner", "reader") and thread == world.ids["t"])
            return answers

    if (transport, caller) == ("socket", "writer"):
        async with socket(world.ids["t"], world.callers["writer"]) as client:
            assert await client.closed() == (
                4403, "The API key may write; this needs a key with the scope 'read'."
            )  # fmt: skip
        return
    answers = await ask(world.ids["t"])
    for method, answer in answers.items():
        _, owners, others = SENT[method]
        writes = COMMANDS[method].scope == WRITE
        expected = owners if caller in ("owner", "reader", "writer") else others
        if (caller == "reader" and writes) or (caller == "writer" and not writes):
            expected = "permission_denied"
            assert "403: The API key may" in answer["message"]
        assert outcome(answer) == expected, (method, answer)
    if caller in ("other", "staff"):
        # A run on a missing thread would create it.
        missing = await ask(str(uuid4()), but=("run.start",))
        for method, answer in missing.items():
            assert scrubbed(str(answer)) == scrubbed(str(answers[method])), method
    if caller not in ("owner", "writer"):
        assert await in_database(everything) == before


@pytest.mark.parametrize("caller, reason", [
    ("anonymous", "Authentication is required"), ("revoked", "The API key was revoked."),
    ("expired", "The API key has expired."),
])  # fmt: skip
async def test_nobody_connects(world: World, caller: str, reason: str) -> None:
    async with socket(world.ids["t"], world.callers[caller]) as client:
        code, said = await client.closed()
        assert code == 4401
        assert said.startswith(reason)


async def test_a_session_connects_from_this_sites_pages_alone(world: World) -> None:
    for origin in ({}, {"Origin": "http://testserver", "Host": "testserver"}):
        async with socket(world.ids["t"], {**world.callers["session"], **origin}) as client:
            assert outcome(await client.command("state.get")) == "unknown_error"
            assert outcome(await client.command("run.start", **START)) == "unknown_error"
    for name in ("session", "owner"):
        with pytest.raises(ConnectionRefusedError):
            async with socket(world.ids["t"], {**world.callers[name], "Origin": "https://elsewhere.example"}):
                pass


@pytest.mark.parametrize("path", ["/threads%2F{}/stream/events", "/threads/{}/stream%2fevents"])
async def test_a_socket_whose_path_has_an_encoded_slash_is_refused(world: World, path: str) -> None:
    """A proxy with rules for paths would see a different path."""
    raw = path.format(world.ids["t"]).encode()
    with pytest.raises(ConnectionRefusedError):
        async with socket(world.ids["t"], world.callers["owner"], raw_path=raw):
            pass
    async with socket(world.ids["t"], world.callers["owner"]):
        pass


async def test_a_key_that_is_revoked_ends_its_sockets(world: World, run_settings: Any) -> None:
    run_settings(IDENTITY_CHECK=0.05)
    async with socket(world.ids["t"], world.callers["reader"]) as client:
        assert outcome(await client.command("state.get")) == "success"
        await in_database(ApiKey.objects.filter(scopes=["read"]).update, revoked_at=clock.now())
        assert await client.closed() == (4401, "The API key was revoked.")


async def test_a_key_that_is_revoked_starts_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "ASKED_AGAIN", 0.0)
    async with socket(world.ids["t"], world.callers["owner"]) as client:
        assert outcome(await client.command("state.get")) == "success"
        await in_database(ApiKey.objects.update, revoked_at=clock.now())
        runs = await in_database(Run.objects.count)
        await client.send({"id": 9, "method": "run.start", "params": START})
        assert await client.closed() == (4401, "The API key was revoked.")
    assert await in_database(Run.objects.count) == runs


async def test_a_login_that_ends_ends_its_sockets(world: World, run_settings: Any) -> None:
    run_settings(IDENTITY_CHECK=0.05)
    async with socket(str(uuid4()), world.callers["session"]) as client:
        await in_database(SessionStore().get_model_class().objects.all().delete)
        code, reason = await client.closed()
        assert code == 4401
        assert reason.startswith("Authentication is required")


@pytest.mark.parametrize("path", ["stream/events", "stream"])
async def test_a_key_that_is_revoked_ends_its_streams(world: World, path: str, run_settings: Any) -> None:
    run_settings(IDENTITY_CHECK=0.05, STREAM_HEARTBEAT=0.05)
    method, body = ("GET", None) if path == "stream" else ("POST", LIFECYCLE)
    url, headers = f"/threads/{world.ids['t']}/{path}", world.callers["reader"]
    async with asyncio.timeout(20), world.http.stream(method, url, json=body, headers=headers) as stream:
        assert stream.status_code == 200
        chunks = stream.aiter_raw()
        for _ in range(5):
            await anext(chunks)
        await in_database(ApiKey.objects.filter(scopes=["read"]).update, revoked_at=clock.now())
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in chunks:
                pass


async def test_a_socket_is_one_of_its_users_connections(world: World, run_settings: Any) -> None:
    run_settings(USER_CONNECTIONS=1)
    async with socket(world.ids["t"], world.callers["owner"]) as first:
        # A socket is accepted before it is counted.
        assert outcome(await first.command("state.get")) == "success"
        async with socket(world.ids["t"], world.callers["owner"]) as second:
            assert await second.closed() == (4429, "You have 1 open streams; close some. Retry after 5 s.")
        stream = await world.http.post(
            f"/threads/{world.ids['t']}/stream/events", json=LIFECYCLE, headers=world.callers["owner"]
        )
        assert stream.status_code == 429
        async with socket(world.ids["others_thread"], world.callers["other"]) as others:
            assert outcome(await others.command("state.get")) == "success"
        assert outcome(await first.command("state.get")) == "success"
    async with asyncio.timeout(20):
        while limits._open:
            await asyncio.sleep(0.01)
    async with socket(world.ids["t"], world.callers["owner"]) as again:
        assert outcome(await again.command("state.get")) == "success"


async def test_a_socket_whose_client_cannot_be_looked_up_is_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(key: str) -> Any:
        raise OperationalError("the database is away")

    monkeypatch.setattr(keys, "find", unavailable)
    async with socket(world.ids["t"], world.callers["owner"]) as client:
        assert await client.closed() == (1011, "The thread could not be read; connect again.")


async def test_a_command_beyond_a_limit_says_so(world: World, run_settings: Any) -> None:
    run_settings(USER_RUNS_PER_MINUTE=1)
    client = OverHTTP(world.http, world.ids["t"], world.callers["owner"])
    await in_database(Run.objects.all().delete)
    limits._allowances.clear()
    assert outcome(await client.command("run.start", **START)) == "success"
    refused = await client.command("run.start", **START)
    assert refused["message"] == "429: At most 1 runs a minute may be created."
    limits._allowances.clear()
