"""Readers at a process that lost its run, or whose log is deleted.

And a run whose events the log refuses.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runs.events.buffer import BUFFER_BYTES, RunStream
from runs.events.hub import EventHub
from runs.events.table import START
from runs.exceptions import LogRemoved
from runs.models import RunEvent
from tests.support.driving import Driver
from threads.db.database import in_database


async def read(hub: EventHub, run: Any, after: tuple[int, int]) -> list[tuple[int, int]]:
    async with asyncio.timeout(10):
        return [event.position async for batch in hub.follow(run.id, after) for event in batch]


def stream_of(driver: Driver, run: Any, *, epoch: int, count: int) -> RunStream:
    """A process's own events of an attempt."""
    stream = RunStream(driver.runtime.hub, run_id=run.id, thread_id=run.thread_id, epoch=epoch, first=True)
    for number in range(count):
        stream.append("values", f'"{number}"')
    driver.runtime.hub._streams[run.id] = stream
    return stream


async def test_a_reader_of_a_later_attempt_gets_nothing_of_a_woken_processs_own(driver: Driver) -> None:
    """Its event ids would go backwards."""
    run = await driver.finish(await driver.start("steps"))
    stored = await read(driver.runtime.hub, run, START)
    stream_of(driver, run, epoch=run.epoch - 1, count=50)
    assert await read(driver.runtime.hub, run, (run.epoch, 3)) == [
        each for each in stored if each > (run.epoch, 3)
    ]


async def test_a_reader_that_lags_behind_memory_is_told_that_the_log_was_removed(driver: Driver) -> None:
    """The events in memory are not what follows its last one."""
    run = await driver.finish(await driver.start("steps"))
    stream = stream_of(driver, run, epoch=run.epoch, count=5)
    stream.wrote(5)
    while len(stream._buffer) > 2:
        stream._buffer.popleft()
    stream.close(finished=True)
    await in_database(RunEvent.objects.filter(run_id=run.id).delete)
    with pytest.raises(LogRemoved):
        await read(driver.runtime.hub, run, (run.epoch, 1))
    assert await read(driver.runtime.hub, run, (run.epoch, 3)) == [(run.epoch, 4), (run.epoch, 5)]


class Refusing:
    """A log that refuses all events of a run."""

    def __init__(self) -> None:
        self.asked = 0

    def written_soon(self, stream: RunStream) -> None: ...

    async def flush(self) -> None:
        self.asked += 1


async def test_a_run_whose_events_are_refused_waits_and_lets_others_go_on(driver: Driver) -> None:
    """The run was deleted or taken over, and is about to be stopped."""
    run = await driver.finish(await driver.start("steps"))
    log = Refusing()
    stream = RunStream(log, run_id=run.id, thread_id=run.thread_id, epoch=9, first=True)
    stream.append("values", f'"{"x" * (BUFFER_BYTES + 1)}"')
    waiting = asyncio.create_task(stream.room())
    await asyncio.sleep(0.4)
    assert 1 < log.asked < 40
    stream.close(finished=False)
    async with asyncio.timeout(5):
        await waiting
