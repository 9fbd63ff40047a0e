"""How often an idle reader of a thread asks the database."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from runs.events import turns
from runs.process.current import current
from tests.support.driving import Driver


async def looks_in(seconds: float, **options: Any) -> tuple[int, list[bool]]:
    """The number of looks of an idle reader, and what it was told."""
    count, told = 0, []

    def look() -> int:
        nonlocal count
        count += 1
        return 0

    async def follow() -> None:
        async for changed in turns.changes(uuid4(), look, **options):
            told.append(changed)  # noqa: PERF401 (the task is cancelled)

    following = asyncio.create_task(follow())
    await asyncio.sleep(seconds)
    following.cancel()
    await asyncio.wait([following])
    return count, told


async def test_an_idle_reader_looks_less_and_less_often_but_never_stops(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, run_settings: Any
) -> None:
    run_settings(EVENT_POLL=0.01, STREAM_HEARTBEAT=0.3)
    monkeypatch.setattr(type(current()), "hears_all", True)
    monkeypatch.setattr(turns, "LONGER", 100)
    count, told = await looks_in(2.0, every=0.02)
    # After 0.02, 0.04, 0.08, … s; without rests there would be a hundred.
    assert 4 <= count <= 8
    # Heartbeats are no changes, and need no look.
    assert told[0] is True
    assert not any(told[1:])
    assert len(told) >= 3


async def test_a_reader_that_may_miss_a_wake_up_does_not_rest(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, run_settings: Any
) -> None:
    run_settings(EVENT_POLL=0.01, STREAM_HEARTBEAT=0.3)
    monkeypatch.setattr(type(current()), "hears_all", False)
    monkeypatch.setattr(turns, "LONGER", 100)
    count, _ = await looks_in(3.0, every=0.02)
    assert count > 12
    monkeypatch.setattr(type(current()), "hears_all", True)
    count, told = await looks_in(3.0)
    assert count > 12
    assert all(told)


async def test_a_change_and_a_bell_end_the_rest(driver: Driver, run_settings: Any) -> None:
    run_settings(EVENT_POLL=0.01, STREAM_HEARTBEAT=60.0)
    value, thread, times = 0, uuid4(), []
    now = asyncio.get_running_loop().time

    async def follow() -> None:
        async for changed in turns.changes(thread, lambda: value, every=0.05):
            assert changed
            times.append(now())

    following = asyncio.create_task(follow())
    await asyncio.sleep(1.5)
    assert len(times) == 1
    value += 1
    current().wakeups.ring(thread)
    await asyncio.sleep(0.2)
    assert len(times) == 2
    # Without a bell: at the latest after the longest pause.
    value += 1
    await asyncio.sleep(0.05 * turns.LONGER + 1)
    assert len(times) == 3
    following.cancel()
    await asyncio.wait([following])
