"""A reader stays connected through a transient fault of the database.

A lasting one disconnects it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError

from runs.events import agent_stream, hub, log_reader, table, thread_log
from runs.events.table import START
from runs.exceptions import ServerClosing
from tests.support.driving import Driver


class Failing:
    """Replaces a function that reads the log; it fails several times first."""

    def __init__(self, real: Any, times: float) -> None:
        self.real, self.times, self.calls = real, times, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls <= self.times:
            raise OperationalError("terminating connection due to administrator command")
        return self.real(*args, **kwargs)


async def read(driver: Driver, run: Any) -> list[tuple[int, int]]:
    async with asyncio.timeout(20):
        return [event.position async for batch in driver.runtime.hub.follow(run.id, START) for event in batch]


@pytest.mark.parametrize("function", ["is_settled", "read"])
async def test_a_reader_outlasts_a_fault_that_passes_and_misses_nothing(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)
    expected = await read(driver, run)
    owner = log_reader if function == "is_settled" else table
    failing = Failing(getattr(owner, function), 2)
    monkeypatch.setattr(owner, function, failing)
    assert await read(driver, run) == expected
    assert failing.calls > 3


async def of_protocol(driver: Driver, run: Any) -> list[int]:
    found = agent_stream.AgentStream(run.thread_id, principal=driver.principal)
    async with asyncio.timeout(20):
        return [event.seq async for batch in found.read() for event in batch]


@pytest.mark.parametrize("function", ["runs_of", "run_of"])
async def test_a_reader_of_the_agent_protocol_does_too(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    run = await driver.start("sleeping", {"log": [], "delay": 0.3})
    failing = Failing(getattr(agent_stream, function), 2)
    monkeypatch.setattr(agent_stream, function, failing)
    found: list[int] = []
    async with asyncio.timeout(20):
        following = agent_stream.AgentStream(run.thread_id, principal=driver.principal).follow()
        async for batch in following:
            found += [event.seq for event in batch]
            if not batch and await driver.runtime.hub.read(log_reader.is_settled, run.id):
                break
        await following.aclose()  # type: ignore[attr-defined]
    assert failing.calls >= 3
    assert found
    assert found == await of_protocol(driver, run)


@pytest.mark.parametrize("function", ["_epoch", "turns_after", "_end"])
async def test_a_reader_of_a_thread_does_too(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    run = await driver.finish(await driver.start("steps", {"log": []}))
    failing = Failing(getattr(thread_log, function), 2)
    monkeypatch.setattr(thread_log, function, failing)
    found: list[thread_log.Entry] = []
    async with asyncio.timeout(20):
        following = thread_log.follow_thread(run.thread_id, START)
        async for batch in following:
            found += batch
            if found[-1].event.name == thread_log.RUN_DONE:
                break
        await following.aclose()
    assert failing.calls >= 3
    assert [entry.position for entry in found[:-1]] == await read(driver, run)


async def test_a_reader_is_cut_off_when_the_database_stays_away(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)
    monkeypatch.setattr(hub, "PATIENCE", 0.3)
    failing = Failing(table.read, float("inf"))
    monkeypatch.setattr(table, "read", failing)
    with pytest.raises(ServerClosing):
        await read(driver, run)
    assert failing.calls > 1


async def test_a_mistake_is_not_waited_for(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)

    def mistaken(*args: Any) -> Any:
        raise KeyError("no such column")

    monkeypatch.setattr(table, "read", mistaken)
    with pytest.raises(KeyError):
        await read(driver, run)
