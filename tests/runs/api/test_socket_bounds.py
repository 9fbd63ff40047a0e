"""What a client of a websocket may cost that asks and never reads, and what it hears when."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID, uuid4

import httpx
import pytest

from runs.api.sessions import Session
from runs.api.sockets import SocketSession
from runs.api.subscriptions import MOST, Subscriptions
from runs.identity.local import local_principal
from runs.identity.principals import Principal
from runs.protocols.agent.filters import Filter
from tests.runs.api.test_protocol import HI, Thread, is_end


@pytest.fixture
def thread(http: httpx.AsyncClient) -> Thread:
    return Thread(http)


async def test_whoever_subscribes_and_never_reads_is_made_to_wait() -> None:
    reads = asyncio.Event()
    sent: list[str] = []

    async def send(text: str) -> None:
        await reads.wait()
        sent.append(text)

    async def failed(error: BaseException) -> None:
        raise error

    session = SocketSession(Session(uuid4(), Principal(1)), send=send, failed=failed)
    frame = json.dumps({"id": 1, "method": "subscription.subscribe", "params": {"channels": ["none"]}})

    async def ask() -> None:
        for _ in range(3 * MOST):
            await session.receive(frame)

    asking = asyncio.create_task(ask())
    # Longer than all of it would take if nothing made it wait.
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


async def test_a_socket_hears_no_end_before_it_could_ask_for_the_content(thread: Thread) -> None:
    """A stock client that comes back subscribes several times, and stops reading content once it has heard an end."""
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
    # Whoever asks for nothing else hears it all the same.
    alone = Subscriptions(UUID(thread.id), principal, send=send, failed=failed)
    sent.clear()
    await alone.add(Filter(frozenset({"lifecycle"})), principal=principal)
    assert sent == ["lifecycle", "END"]
    await alone.close()
