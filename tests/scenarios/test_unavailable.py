"""A run whose storage is unavailable for longer than it waits resumes later.

After repeated outages it ends.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from runs.models import Run
from tests.support.driving import Driver
from threads.checkpoints.commits import GroupCommit, Unavailable
from threads.checkpoints.rows import Batch


class Outage:
    """Replaces the storage's group commit; it accepts no rows during the outage."""

    def __init__(self, driver: Driver) -> None:
        self.real, self.over = driver.runtime.storage.commits, False
        self.commit = driver.runtime.storage._commit  # type: ignore[attr-defined]
        driver.runtime.storage.commits = GroupCommit(self, retry_seconds=0.2)

    async def __call__(self, batch: Batch) -> set[UUID]:
        if not self.over:
            raise Unavailable("nobody answers")
        live: set[UUID] = await self.commit(batch)
        return live


async def lost(driver: Driver, run: Run, *, times: int) -> Run:
    """Wait until this many of a run's attempts were lost."""
    async with asyncio.timeout(20):
        while (row := await driver.row(run)).lost_attempts < times:
            await asyncio.sleep(0.01)
    return row


@pytest.mark.parametrize("durability", ["sync", "async"])
async def test_a_run_outlasts_an_outage_and_repeats_nothing_that_was_saved(
    driver: Driver, run_settings: Any, durability: str
) -> None:
    run_settings(MAX_ATTEMPTS=100)
    run = await driver.start("steps", {"log": [], "delay": 0.1}, durability=durability)
    await driver.executing(run, "s3")
    outage = Outage(driver)
    await lost(driver, run, times=1)
    outage.over = True
    done = await driver.finish(run)
    assert done.status == "success"
    assert done.thread.values["log"] == [f"s{number}" for number in range(10)]
    executed = driver.executions(run)
    assert {name: executed[name] for name in ("s0", "s1")} == {"s0": 1, "s1": 1}
    names = [event.name for event in await driver.events(run)]
    assert "error" not in names
    await outage.real.close()


async def test_an_outage_that_outlasts_every_attempt_is_an_error(driver: Driver, run_settings: Any) -> None:
    run_settings(MAX_ATTEMPTS=2)
    run = await driver.start("steps", {"log": [], "delay": 0.1}, durability="sync")
    await driver.executing(run, "s3")
    outage = Outage(driver)
    done = await driver.finish(run)
    assert (done.status, done.attempt, done.lost_attempts) == ("error", 2, 1)
    assert done.error["error"] == "StorageUnavailable"
    assert "unavailable for 0.2 s" in done.error["message"]
    assert done.thread.status == "error"
    await outage.real.close()


async def test_by_policy_an_outage_is_an_error_at_once(driver: Driver, run_settings: Any) -> None:
    run_settings(RECOVERY="error")
    run = await driver.start("steps", {"log": [], "delay": 0.1}, durability="sync")
    await driver.executing(run, "s1")
    outage = Outage(driver)
    done = await driver.finish(run)
    assert (done.status, done.attempt) == ("error", 1)
    await outage.real.close()
