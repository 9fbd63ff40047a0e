"""What a client of a websocket may cost that asks and never reads."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from runs.api.sessions import Session
from runs.api.sockets import SocketSession
from runs.api.subscriptions import MOST
from runs.identity.principals import Principal


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
