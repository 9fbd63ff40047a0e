"""Reconcile: orphans are found and settled once, and nothing else changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone

from runs import graphs
from runs.lifecycle import orphan_settlement
from runs.lifecycle.outcomes import Stop
from runs.lifecycle.reconcile import Caller, parse_before, reconcile
from runs.models import Run, Worker
from runs.states.refresh import refresh_state
from tests.support.driving import Driver
from threads.db.database import in_database
from threads.models import Thread


async def orphan(driver: Driver, *, node: str = "s2", **fields: Any) -> Run:
    """A run whose worker died during it: nothing more is written, the worker is marked."""
    fields.setdefault("durability", "sync")
    run = await driver.start("steps", {"log": [], "delay": 0.05}, **fields)
    await driver.executing(run, node)
    manager = driver.runtime.manager
    assert manager is not None
    manager.active[run.id].execution.stop(Stop.LOST)
    async with asyncio.timeout(5):
        while run.id in manager.active:
            await asyncio.sleep(0.005)
    await in_database(bury, run.id)
    return await driver.row(run)


def bury(run_id: Any) -> None:
    now = timezone.now()
    dead = Worker.objects.create(
        host="gone", pid=1, version="1", concurrency=1, started_at=now, heartbeat_at=now,
        lease_expires_at=now - timedelta(seconds=1), stopped_at=now,
    )  # fmt: skip
    Run.objects.filter(id=run_id).update(worker=dead)


def settled(**arguments: Any) -> Any:
    return in_database(reconcile, caller=Caller(sole=False), **arguments)


@pytest.fixture
def quiet(run_settings: Any) -> Any:
    """No sweep in the background: the test reconciles."""
    run_settings(SWEEP=1000.0, POLL=0.1)
    return run_settings


async def test_an_orphan_goes_on_where_it_was_and_repeats_no_saved_step(quiet: Any, driver: Driver) -> None:
    run = await orphan(driver)
    report = await settled()
    assert report.requeued == [str(run.id)]
    row = await driver.finish(run)
    assert (row.status, row.attempt, row.lost_attempts) == ("success", 2, 1)
    assert row.thread.values["log"] == [f"s{number}" for number in range(10)]
    executions = driver.executions(run)
    assert sum(executions.values()) <= 11
    assert executions["s0"] == executions["s1"] == 1
    names = [(event.epoch, event.name) for event in await driver.events(run)]
    assert names[0] == (1, "metadata")
    assert (row.epoch, "metadata") in names
    assert names == sorted(names, key=lambda name: name[0])


async def test_with_policy_error_it_fails_with_a_message_and_so_does_its_thread(
    quiet: Any, driver: Driver
) -> None:
    quiet(RECOVERY="error")
    run = await orphan(driver)
    report = await settled()
    assert report.failed == [str(run.id)]
    row = await driver.row(run)
    assert row.status == "error"
    assert row.error["message"] == "The server restarted before this run reached a durable final state."
    assert (row.thread.status, row.thread.error) == ("error", row.error)
    events = await driver.events(run)
    assert events[-1].name == "error"
    assert orjson.loads(events[-1].data) == row.error
    assert (row.epoch, row.event_count) == events[-1].position


@pytest.mark.parametrize(("attempt", "status"), [(1, "idle"), (0, "error")])
async def test_a_newer_run_that_executed_keeps_the_thread_as_it_is(
    quiet: Any, driver: Driver, attempt: int, status: str
) -> None:
    quiet(RECOVERY="error")
    run = await orphan(driver)

    def newer() -> None:
        now = timezone.now()
        Run.objects.create(
            thread_id=run.thread_id, assistant_id=run.assistant_id, user_id=run.user_id, attempt=attempt,
            status="success" if attempt else "interrupted",
            created_at=now, updated_at=now, due_at=now, finished_at=now,
        )  # fmt: skip
        Thread.objects.filter(id=run.thread_id).update(status="idle")

    await in_database(newer)
    await settled()
    row = await driver.row(run)
    assert (row.status, row.thread.status) == ("error", status)
    assert row.thread.error == (None if attempt else row.error)


async def test_a_run_that_keeps_losing_its_process_ends_in_error_with_its_history(
    quiet: Any, driver: Driver
) -> None:
    run = await orphan(driver, node="s0")
    for number in range(2):
        assert (await settled()).requeued == [str(run.id)]
        driver.runtime.work_added()
        await driver.until(run, "running")
        manager = driver.runtime.manager
        assert manager is not None
        # The claim is committed before its worker knows of it.
        while run.id not in manager.active:
            await asyncio.sleep(0.005)
        manager.active[run.id].execution.stop(Stop.LOST)
        async with asyncio.timeout(5):
            while run.id in manager.active:
                await asyncio.sleep(0.005)
        await in_database(bury, run.id)
        assert (await driver.row(run)).lost_attempts == number + 1
    assert (await settled()).failed == [str(run.id)]
    row = await driver.row(run)
    assert (row.status, row.attempt, row.lost_attempts) == ("error", 3, 3)
    assert "3 of its 3 attempts" in row.error["message"]
    assert (await driver.finish(await driver.start("sleeping", thread=run.thread_id))).status == "success"


async def test_a_cancel_that_its_dead_owner_did_not_see_is_finished_by_the_next(
    quiet: Any, driver: Driver
) -> None:
    run = await orphan(driver)
    await in_database(Run.objects.filter(id=run.id).update, cancel_action="rollback")
    await settled()
    driver.runtime.work_added()
    await driver.events(run)
    assert not await in_database(Run.objects.filter(id=run.id).exists)
    thread = await driver.thread(run)
    assert thread.status == "idle"
    assert (
        await driver.runtime.storage.reader().aget_tuple({"configurable": {"thread_id": str(thread.id)}})
        is None
    )


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_cancelled_run_that_keeps_losing_its_process_ends_without_its_graph(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    run = await orphan(driver)
    await in_database(Run.objects.filter(id=run.id).update, cancel_action=action, lost_attempts=2)
    opened: list[str] = []
    real = graphs.open_graph

    def recorded(name: str, *more: Any, **named: Any) -> Any:
        opened.append(name)
        return real(name, *more, **named)

    monkeypatch.setattr(graphs, "open_graph", recorded)
    assert (await settled()).requeued == [str(run.id)]
    driver.runtime.work_added()
    await driver.events(run)
    thread = await driver.thread(run)
    assert opened == []
    if action == "rollback":
        assert not await in_database(Run.objects.filter(id=run.id).exists)
        assert thread.status == "idle"
        return
    row = await driver.row(run)
    assert (row.status, row.attempt, row.lost_attempts, thread.status) == ("interrupted", 2, 3, "interrupted")
    await refresh_state(thread.id)
    assert (await driver.thread(run)).values["log"][:2] == ["s0", "s1"]


async def test_a_cancelled_run_whose_process_was_killed_keeps_what_was_committed(
    quiet: Any, driver: Driver
) -> None:
    run = await orphan(driver)
    await in_database(Run.objects.filter(id=run.id).update, cancel_action="interrupt")
    await settled()
    driver.runtime.work_added()
    row = await driver.finish(run)
    assert (row.status, row.lost_attempts, row.thread.status) == ("interrupted", 1, "interrupted")
    assert row.thread.values["log"][:2] == ["s0", "s1"]
    assert len(row.thread.values["log"]) < 10


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(quiet: Any, driver: Driver) -> None:
    run = await orphan(driver)
    report = await settled(dry_run=True)
    assert report.requeued == [str(run.id)]
    assert (await driver.row(run)).status == "running"


async def test_only_runs_before_a_time_are_examined(quiet: Any, driver: Driver) -> None:
    run = await orphan(driver)
    assert (await settled(before=run.created_at - timedelta(seconds=1))).examined == 0
    assert (await settled(before=timezone.now())).examined == 1


async def test_two_reconciliations_at_once_settle_each_orphan_once(quiet: Any, driver: Driver) -> None:
    runs = [await orphan(driver, node="s0") for _ in range(3)]
    reports = await asyncio.gather(settled(), settled())
    done = [run for report in reports for run in report.requeued]
    assert sorted(done) == sorted(str(run.id) for run in runs)
    for run in runs:
        assert (await driver.finish(run)).lost_attempts == 1


async def test_one_orphan_that_cannot_be_settled_does_not_stop_the_others(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = await orphan(driver, node="s0"), await orphan(driver, node="s0")
    real = orphan_settlement.requeue_orphans

    def broken(runs: Any) -> Any:
        if bad.id in {run.id for run in runs}:
            raise RuntimeError("disk on fire")
        return real(runs)

    monkeypatch.setattr(orphan_settlement, "requeue_orphans", broken)
    report = await settled()
    assert (report.unsettled, report.requeued) == ([str(bad.id)], [str(good.id)])
    assert str(bad.id) in caplog.text
    monkeypatch.undo()
    assert (await settled()).requeued == [str(bad.id)]
    assert (await driver.finish(bad)).status == "success"


async def test_a_reader_of_an_orphan_that_the_sweep_fails_is_woken(driver: Driver, run_settings: Any) -> None:
    run_settings(RECOVERY="error")
    told: list[Any] = []
    driver.runtime.wakeups.announce = told.append
    run = await orphan(driver)
    with driver.runtime.wakeups.bell(run.id) as bell:
        bell.clear()
        assert (await driver.until(run, "error")).status == "error"
        assert await bell.wait(5)
    assert run.id in told


async def test_the_sweep_finds_orphans_by_itself(driver: Driver) -> None:
    run = await orphan(driver)
    row = await driver.finish(run)
    assert (row.status, row.lost_attempts) == ("success", 1)


async def test_runs_of_a_living_worker_are_left_alone(driver: Driver) -> None:
    run = await driver.start("sleeping", {"log": [], "delay": 0.5})
    await driver.until(run, "running")
    assert (await in_database(reconcile)).examined == 0
    assert (await driver.finish(run)).attempt == 1


@pytest.mark.parametrize("text", ["2h", "30m", "1.5d", "90s"])
def test_before_takes_an_age(text: str) -> None:
    now = timezone.now()
    seconds = {"2h": 7200, "30m": 1800, "1.5d": 129600, "90s": 90}[text]
    assert now - parse_before(text, now=now) == timedelta(seconds=seconds)


def test_before_takes_an_iso_time_and_refuses_anything_else() -> None:
    assert parse_before("2026-01-02T03:04:05+00:00").isoformat() == "2026-01-02T03:04:05+00:00"
    with pytest.raises(ValueError, match="neither an ISO time nor an age"):
        parse_before("yesterday")
