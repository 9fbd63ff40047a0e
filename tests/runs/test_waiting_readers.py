"""A reader stays connected through a fault of the database that passes; one that lasts cuts it off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError

from runs import event_store, events
from runs.event_store import START
from runs.exceptions import ServerClosing
from tests.driving import Driver


class Failing:
    """In the place of a function that reads the log: it fails so many times first."""

    def __init__(self, real: Any, times: float) -> None:
        self.real, self.times, self.calls = real, times, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls <= self.times:
            raise OperationalError("terminating connection due to administrator command")
        return self.real(*args)


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
    owner = events if function == "is_settled" else event_store
    failing = Failing(getattr(owner, function), 2)
    monkeypatch.setattr(owner, function, failing)
    assert await read(driver, run) == expected
    assert failing.calls > 3


async def test_a_reader_is_cut_off_when_the_database_stays_away(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)
    monkeypatch.setattr(events, "PATIENCE", 0.3)
    failing = Failing(event_store.read, float("inf"))
    monkeypatch.setattr(event_store, "read", failing)
    with pytest.raises(ServerClosing):
        await read(driver, run)
    assert failing.calls > 1


async def test_a_mistake_is_not_waited_for(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)

    def mistaken(*args: Any) -> Any:
        raise KeyError("no such column")

    monkeypatch.setattr(event_store, "read", mistaken)
    with pytest.raises(KeyError):
        await read(driver, run)
