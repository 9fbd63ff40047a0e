"""The tokens of a run are those of all its attempts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import OperationalError

from runs.events.usage import columns, logged
from runs.execution import attempt
from runs.lifecycle.cancellation import cancel
from runs.lifecycle.outcomes import Stop
from runs.lifecycle.reconcile import Caller, reconcile
from runs.models import CancelAction, Run
from tests.runs.lifecycle.test_reconcile import bury
from tests.support.driving import Driver
from threads.db.database import in_database

INPUT: Any = {"messages": [{"type": "human", "content": "hello"}], "tokens": 3, "delay": 0.05}


@pytest.fixture
def quiet(run_settings: Any) -> None:
    """No sweep in the background: the test reconciles."""
    run_settings(SWEEP=1000.0, POLL=0.1)


async def in_the_second_call(driver: Driver) -> tuple[Run, Any]:
    """A run whose first call is in its log, and its execution."""
    run = await driver.start("thrice", INPUT, durability="sync")
    await driver.executing(run, "t2")
    async with asyncio.timeout(10):
        while not await in_database(logged, run.id):
            await asyncio.sleep(0.01)
    manager = driver.runtime.manager
    assert manager is not None
    return run, manager.active[run.id].execution


async def lost(driver: Driver) -> Run:
    run, execution = await in_the_second_call(driver)
    manager = driver.runtime.manager
    assert manager is not None
    execution.stop(Stop.LOST)
    async with asyncio.timeout(5):
        while run.id in manager.active:
            await asyncio.sleep(0.005)
    await in_database(bury, run.id)
    return run


async def told(run: Run, calls: int) -> None:
    """The run's row says what the notes of so many calls say."""
    row = await in_database(Run.objects.get, id=run.id)
    found = await in_database(logged, run.id)
    assert {name: getattr(row, name) for name in ("input_tokens", "output_tokens", "usage")} == columns(found)
    assert row.output_tokens == calls * INPUT["tokens"]


async def test_of_a_run_that_was_requeued(quiet: None, driver: Driver) -> None:
    run, execution = await in_the_second_call(driver)
    execution.request_requeue()
    row = await driver.finish(run)
    assert (row.status, row.attempt) == ("success", 2)
    await told(run, 3)


async def test_a_run_does_not_fail_because_its_tokens_cannot_be_read(
    quiet: None, driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, execution = await in_the_second_call(driver)

    def failing(*arguments: Any, **more: Any) -> Any:
        raise OperationalError("The connection is gone.")

    monkeypatch.setattr(attempt, "logged", failing)
    execution.request_requeue()
    row = await driver.finish(run)
    assert (row.status, row.attempt) == ("success", 2)
    # The third call alone.
    assert row.output_tokens == INPUT["tokens"]
    assert "are unknown: The connection is gone." in caplog.text


async def test_of_a_run_whose_process_was_lost(quiet: None, driver: Driver) -> None:
    run = await lost(driver)
    await in_database(reconcile, caller=Caller(sole=False))
    row = await driver.finish(run)
    assert (row.status, row.attempt) == ("success", 2)
    # The call that was cut off has told nothing, and was made again.
    await told(run, 3)


async def test_of_a_run_that_is_not_tried_again(run_settings: Any, quiet: None, driver: Driver) -> None:
    run_settings(SWEEP=1000.0, POLL=0.1, RECOVERY="error")
    run = await lost(driver)
    report = await in_database(reconcile, caller=Caller(sole=False))
    assert report.failed == [str(run.id)]
    await told(run, 1)


async def test_of_a_run_that_is_cancelled_between_its_attempts(
    run_settings: Any, quiet: None, driver: Driver
) -> None:
    run = await lost(driver)
    manager = driver.runtime.manager
    assert manager is not None
    manager.stop_claiming()
    await in_database(reconcile, caller=Caller(sole=False))
    await in_database(cancel, run.id, action=CancelAction.INTERRUPT)
    await told(run, 1)
