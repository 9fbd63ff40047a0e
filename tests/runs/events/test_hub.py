"""The end of the hub's readers when their server shuts down."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from runs.events.hub import START, EventHub
from runs.exceptions import ServerClosing
from runs.process.wakeups import Wakeups
from tests.support.driving import Driver


@pytest.mark.parametrize("finished", [True, False])
async def test_a_shutdown_completes_the_stream_of_a_run_that_has_just_ended_and_no_other(
    driver: Driver, finished: bool
) -> None:
    hub = EventHub(Wakeups())
    stream = hub.open(uuid4(), thread_id=uuid4(), epoch=1, first=True)
    names: list[str] = []

    async def read() -> None:
        async for batch in hub.follow(stream.run_id, START):
            names.extend(event.name for event in batch)

    reader = asyncio.create_task(read())
    stream.append("first", "1")
    async with asyncio.timeout(20):
        while names != ["first"]:
            await asyncio.sleep(0)
        # No await between these: the reader first runs when the hub is closed.
        _, last = stream.with_last([("last", "2")])
        if finished:
            stream.show(last)
        hub.end(stream, finished=finished)
        hub.close()
        if finished:
            await reader
        else:
            with pytest.raises(ServerClosing):
                await reader
    assert names == (["first", "last"] if finished else ["first"])
