"""A thread's values after a run whose final state was unreadable: they follow its checkpoints."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runs.lifecycle.cancellation import cancel_run, delete_run
from runs.models import Run
from runs.states import refresh
from runs.states.reads import readable
from runs.states.refresh import refresh_stale, refresh_state
from runs.worker import sweeps
from runs.worker.manager import RunManager
from runs.worker.sweeps import Sweeps
from tests.runs.lifecycle.test_reconcile import orphan, settled
from tests.support.driving import Driver
from threads.checkpoints import StorageUnavailable
from threads.db.database import in_database
from threads.models import Thread
from threads.state.read import address


@pytest.fixture
def quiet(run_settings: Any) -> Any:
    """No sweep in the background: the test reconciles."""
    run_settings(SWEEP=1000.0, POLL=0.1)
    return run_settings


async def saved(driver: Driver, run: Run) -> Any:
    """The thread's values in its checkpoints."""
    place = address(await driver.thread(run))
    async with readable("steps", place) as graph:
        values = (await graph.aget_state(place)).values
    assert values["log"]
    return values


async def waiting(driver: Driver) -> Run:
    """A run that lost its worker and waits to resume."""
    manager = driver.runtime.manager
    assert isinstance(manager, RunManager)
    run = await orphan(driver)
    manager.draining = True
    await settled()
    assert (await driver.row(run)).status == "pending"
    return run


async def test_a_run_that_is_cancelled_while_it_waits_to_go_on(quiet: Any, driver: Driver) -> None:
    run = await waiting(driver)
    await cancel_run(run.id, thread_id=run.thread_id, principal=driver.principal, action="interrupt")
    thread = await driver.thread(run)
    assert (thread.status, thread.stale_since) == ("interrupted", None)
    assert thread.values == await saved(driver, run)


async def test_a_run_that_is_deleted_while_it_executes(quiet: Any, driver: Driver) -> None:
    run = await driver.start("steps", {"log": [], "delay": 0.05}, durability="sync")
    await driver.executing(run, "s3")
    await delete_run(run.id, thread_id=run.thread_id, principal=driver.principal)
    thread = await driver.thread(run)
    assert (thread.status, thread.stale_since) == ("interrupted", None)
    assert thread.values == await saved(driver, run)


async def test_an_orphan_that_failed_is_read_by_the_sweep(quiet: Any, driver: Driver) -> None:
    quiet(RECOVERY="error")
    run = await orphan(driver)
    await settled()
    assert (await driver.thread(run)).stale_since is not None
    await refresh_stale()
    thread = await driver.thread(run)
    assert (thread.status, thread.stale_since) == ("error", None)
    assert thread.values == await saved(driver, run)


async def test_refreshing_begins_with_what_the_last_process_left(run_settings: Any, driver: Driver) -> None:
    run_settings(SWEEP=1000.0)
    run = await driver.finish(await driver.start("steps"))
    stale = {"stale_since": run.finished_at, "values": {"log": ["old"]}}
    await in_database(Thread.objects.filter(id=run.thread_id).update, **stale)
    manager = driver.runtime.manager
    assert isinstance(manager, RunManager)
    own = Sweeps(manager._heartbeat, {}, storage=driver.runtime.storage, wakeups=driver.runtime.wakeups)
    sweep = asyncio.create_task(own.refresh())
    async with asyncio.timeout(10):
        while (thread := await driver.thread(run)).stale_since is not None:
            await asyncio.sleep(0.02)
    sweep.cancel()
    assert thread.values == run.thread.values


async def test_an_orphan_does_not_wait_for_states_that_are_read_slowly(
    run_settings: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_settings(SWEEP=0.1)
    reading = asyncio.Event()

    async def read_for_ever() -> None:
        reading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(sweeps, "refresh_stale", read_for_ever)
    async with asyncio.timeout(10):
        await reading.wait()
    assert (await driver.finish(await orphan(driver))).status == "success"


async def test_a_thread_with_a_newer_run_is_left_to_that(quiet: Any, driver: Driver) -> None:
    run = await waiting(driver)
    await in_database(Thread.objects.filter(id=run.thread_id).update, stale_since=run.created_at)
    await refresh_state(run.thread_id)
    thread = await driver.thread(run)
    assert (thread.status, thread.stale_since) == ("busy", run.created_at)
    manager = driver.runtime.manager
    assert isinstance(manager, RunManager)
    manager.draining = False
    dispatch = asyncio.create_task(manager._dispatch())
    thread = (await driver.finish(run)).thread
    dispatch.cancel()
    assert (thread.status, thread.stale_since) == ("idle", None)
    assert len(thread.values["log"]) == 10


async def test_a_graph_that_is_gone_is_waited_for_and_then_given_up(
    quiet: Any, driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    run = await driver.finish(await driver.start("steps"))
    stale = {"stale_since": run.finished_at, "metadata": {"graph_id": "gone"}}
    await in_database(Thread.objects.filter(id=run.thread_id).update, **stale)
    await refresh_stale()
    assert (await driver.thread(run)).stale_since is not None
    quiet(GRAPH_WAIT=0.0)
    await refresh_stale()
    thread = await driver.thread(run)
    assert (thread.stale_since, thread.values) == (None, run.thread.values)
    assert "keeps those that it showed" in caplog.text


async def test_a_graph_that_kills_each_process_that_opens_it_is_opened_a_few_times(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Died(BaseException):
        """The process is gone: nothing after this is executed."""

    opened: list[str] = []

    def dying(name: str, *more: Any) -> Any:
        opened.append(name)
        raise Died

    run = await driver.finish(await driver.start("steps"))
    await in_database(Thread.objects.filter(id=run.thread_id).update, stale_since=run.finished_at)
    monkeypatch.setattr(refresh, "readable", dying)
    for _ in range(refresh.TRIES):
        with pytest.raises(Died):
            await refresh_stale()
    for _ in range(2):
        await refresh_stale()
    thread = await driver.thread(run)
    assert len(opened) == refresh.TRIES
    assert (thread.stale_since, thread.refreshes, thread.values) == (None, None, run.thread.values)
    assert "its values are not read" in caplog.text


async def test_what_may_succeed_later_is_not_counted(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await driver.finish(await driver.start("steps"))
    stale = {"stale_since": run.finished_at, "values": {"log": ["old"]}}
    await in_database(Thread.objects.filter(id=run.thread_id).update, **stale)

    def away(name: str, *more: Any) -> Any:
        raise StorageUnavailable

    monkeypatch.setattr(refresh, "readable", away)
    for _ in range(refresh.TRIES + 1):
        await refresh_stale()
    monkeypatch.undo()
    await refresh_stale()
    thread = await driver.thread(run)
    assert (thread.stale_since, thread.refreshes, len(thread.values["log"])) == (None, None, 10)
