"""Ends that wait for earlier content."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from runs.api.sessions import ordering
from runs.api.sessions.ordering import delivered, delivering


async def soon(task: asyncio.Task[None]) -> bool:
    """Whether a task ends without waiting for anything."""
    for _ in range(20):
        await asyncio.sleep(0)
    return task.done()


async def test_an_end_waits_for_the_slowest_of_the_contents_before_it() -> None:
    thread = uuid4()
    with (
        delivering(1, thread, since=0, owner=object()) as quick,
        delivering(1, thread, since=0, owner=object()) as slow,
    ):
        quick.reached(7)
        end = asyncio.create_task(delivered(1, thread, 7, owner=object()))
        assert not await soon(end)
        slow.reached(6)
        assert not await soon(end)
        slow.reached(9)
        assert await soon(end)
    assert not ordering._readers


async def test_it_waits_for_nobody_else() -> None:
    thread, socket = uuid4(), object()
    with (
        delivering(2, thread, since=0, owner=object()),
        delivering(1, uuid4(), since=0, owner=object()),
        delivering(1, thread, since=0, owner=socket),
        delivering(1, thread, since=8, owner=object()),
    ):
        assert await soon(asyncio.create_task(delivered(1, thread, 7, owner=socket)))


async def test_who_leaves_is_not_waited_for() -> None:
    thread = uuid4()
    with delivering(1, thread, since=0, owner=object()):
        end = asyncio.create_task(delivered(1, thread, 7, owner=object()))
        assert not await soon(end)
    assert await soon(end)


async def test_it_waits_once_for_a_content_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "PATIENCE", 0.2)
    thread = uuid4()
    now = asyncio.get_running_loop().time
    with delivering(1, thread, since=0, owner=object()) as stuck:
        began = now()
        await delivered(1, thread, 7, owner=object())
        assert now() - began >= 0.2
        assert await soon(asyncio.create_task(delivered(1, thread, 8, owner=object())))
        # It makes progress, so it is waited for again.
        stuck.reached(3)
        end = asyncio.create_task(delivered(1, thread, 9, owner=object()))
        assert not await soon(end)
        stuck.reached(9)
        assert await soon(end)
