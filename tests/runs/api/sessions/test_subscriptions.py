"""The costs of a websocket client that never reads, disconnects early, or subscribes to much."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from runs.api.routes.consumers import INBOX, ThreadConsumer
from runs.api.sessions.session import Session
from runs.api.sessions.subscriptions import MOST, MOST_ENTRIES, Subscriptions
from runs.api.sessions.websocket import SMALL, SocketSession
from runs.identity.local import local_principal
from runs.identity.principals import Principal
from runs.protocols.agent.filters import MAX_ENTRIES, Filter
from tests.runs.api.routes.test_protocol import HI, Thread, is_end
from tests.support.api import logged_in
from tests.support.sockets import socket
from threads.db.database import in_database


@pytest.fixture
def thread(http: httpx.AsyncClient) -> Thread:
    return Thread(http)


def subscribe(**params: Any) -> str:
    return json.dumps({"id": 1, "method": "subscription.subscribe", "params": params})


def session_of(send: Any) -> SocketSession:
    async def failed(error: BaseException) -> None:
        raise error

    return SocketSession(Session(uuid4(), Principal(1)), send=send, failed=failed)


async def test_whoever_subscribes_and_never_reads_is_made_to_wait() -> None:
    reads = asyncio.Event()
    sent: list[str] = []

    async def send(text: str) -> None:
        await reads.wait()
        sent.append(text)

    session = session_of(send)
    frame = subscribe(channels=["none"])

    async def ask() -> None:
        for _ in range(3 * MOST):
            await session.receive(frame)

    asking = asyncio.create_task(ask())
    # Longer than all of it would take without back-pressure.
    for _ in range(10 * MOST):
        await asyncio.sleep(0)
    assert not asking.done()
    assert len(session._joining) == MOST
    reads.set()
    await asking
    while session._joining:
        await asyncio.sleep(0)
    assert len(sent) == 3 * MOST
    await session.close()


async def test_large_subscriptions_wait_for_one_another() -> None:
    reads = asyncio.Event()

    async def send(text: str) -> None:
        await reads.wait()

    session = session_of(send)
    asking = asyncio.create_task(session.receive(subscribe(channels=["x" * SMALL])))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not asking.done()
    assert not session._joining
    reads.set()
    await asking
    await session.close()


async def visitor() -> dict[str, str]:
    cookies = await in_database(logged_in, "visitor")
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


@pytest.mark.django_db(transaction=True)
async def test_all_subscriptions_of_a_socket_together_are_bounded(url: str) -> None:
    async with socket(str(uuid4()), await visitor()) as client:
        many = [[str(place), "x"] for place in range(MAX_ENTRIES)]
        assert (await client.command("subscription.subscribe", channels=["values"], namespaces=many))[
            "result"
        ]
        refused = await client.command("subscription.subscribe", channels=["values"], namespaces=many)
        assert refused["error"] == "invalid_argument"
        assert str(MOST_ENTRIES) in refused["message"]
        too_much: list[list[list[str]]] = [[["x"] * 100], [["x" * 1000]], [[]] * 2000]
        for namespaces in too_much:
            bad = await client.command("subscription.subscribe", channels=["values"], namespaces=namespaces)
            assert bad["error"] == "invalid_argument"


@pytest.mark.django_db(transaction=True)
async def test_a_subscription_lives_on_when_the_only_other_one_ends_while_it_joins(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, may = str(uuid4()), asyncio.Event()
    replay = Subscriptions._replay

    async def slow(*arguments: Any, **options: Any) -> Any:
        await may.wait()
        return await replay(*arguments, **options)

    monkeypatch.setattr(Subscriptions, "_replay", slow)
    async with socket(thread, await visitor()) as client:
        first = await client.command("subscription.subscribe", channels=["values"])
        await client.send(
            {"id": 2, "method": "subscription.subscribe", "params": {"channels": ["lifecycle"]}}
        )
        ended = {"subscription_id": first["result"]["subscription_id"]}
        await client.send({"id": 3, "method": "subscription.unsubscribe", "params": ended})
        assert (await client.receive())["id"] == 3
        may.set()
        assert (await client.receive())["id"] == 2
        await client.send(
            {"id": 4, "method": "run.start", "params": {"assistant_id": "steps", "input": {"log": []}}}
        )
        while (event := await client.receive()).get("method") != "lifecycle":
            assert event["id"] == 4
        assert event["params"]["data"]["event"] == "running"


@pytest.mark.django_db(transaction=True)
async def test_a_client_that_leaves_with_frames_that_nobody_took_leaves_nothing_behind(url: str) -> None:
    """Some servers raise at a send to a disconnected client, others drop the message."""
    inbox: asyncio.Queue[Any] = asyncio.Queue()
    gone = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            await gone.wait()
            raise OSError("The client has gone.")

    scope = {
        "type": "websocket", "path": "", "headers": [], "client": ("127.0.0.1", 1), "query_string": b"",
        "url_route": {"kwargs": {"thread_id": str(uuid4())}},
    }  # fmt: skip
    serving = asyncio.ensure_future(ThreadConsumer.as_asgi()(scope, inbox.get, send))
    inbox.put_nowait({"type": "websocket.connect"})
    for _ in range(5 * INBOX):
        inbox.put_nowait({"type": "websocket.receive", "text": "{"})
    await asyncio.sleep(0.2)
    gone.set()
    inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
    await asyncio.wait_for(serving, 10)


@pytest.mark.django_db(transaction=True)
async def test_a_message_is_measured_in_bytes(url: str, run_settings: Any) -> None:
    run_settings(SOCKET_MESSAGE_LIMIT=100)
    async with socket(str(uuid4()), await visitor()) as client:
        await client.send("€" * 10)
        assert (await client.receive())["error"] == "invalid_argument"
        await client.send_text("€" * 60)
        assert (await client.closed())[0] == 1009


async def test_a_socket_hears_no_end_before_it_could_ask_for_the_content(thread: Thread) -> None:
    """A reconnecting client subscribes several times, and stops reading content after an end."""
    await thread.start("talking", {**HI, "tokens": 2})
    await thread.events()
    sent: list[str] = []

    async def send(text: str) -> None:
        event = json.loads(text)
        sent.append("END" if is_end(event) else event["method"])

    async def failed(error: BaseException) -> None:
        sent.append(repr(error))

    principal = await local_principal()
    socket = Subscriptions(UUID(thread.id), principal, send=send, failed=failed)
    ends = asyncio.create_task(socket.add(Filter(frozenset({"lifecycle"})), principal=principal))
    while not sent:
        await asyncio.sleep(0.001)
    await socket.add(Filter(frozenset({"messages"})), principal=principal)
    await ends
    assert "messages" in sent
    assert sent[-1] == "END"
    await socket.close()
    # A client without other subscriptions gets it too.
    alone = Subscriptions(UUID(thread.id), principal, send=send, failed=failed)
    sent.clear()
    await alone.add(Filter(frozenset({"lifecycle"})), principal=principal)
    assert sent == ["lifecycle", "END"]
    await alone.close()
