"""Retention: old events, runs and workers are deleted in small batches; needed rows stay."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runs import deletion
from runs.lifecycle.admission import create_run
from runs.models import BulkAction, BulkTarget, Run, RunAction, RunEvent, Worker
from runs.requests.run import RunRequest
from runs.retention import policy as retention
from runs.retention.policy import Policy, steps
from tests.support.driving import Driver
from tests.support.retention import DAY, closing_connection, pruning, quiet, report_of, traces
from tests.support.rows import make_events, make_run, make_thread, make_worker
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import first_id, new_id

__all__ = ["quiet"]


# --- events and runs


@pytest.mark.django_db(transaction=True)
def test_events_of_runs_that_ended_long_ago_go_in_batches(run_settings: Any) -> None:
    old = [make_run(status, age=40 * DAY) for status in ("success", "error", "timeout", "interrupted")]
    young = make_run("success", age=20 * DAY)
    late = make_run("success", age=40 * DAY, finished_at=clock.now())
    open_ = [make_run(status, age=40 * DAY) for status in ("pending", "running")]
    for run in (*old, young, late, *open_):
        make_events(run, 17)
    RunEvent.objects.create(
        run_id=UUID(int=5 << 76), epoch=1, seq=1, event="values", data="{}", created_at=clock.now()
    )
    counts = list(steps(Policy(clock.now() - timedelta(days=30), rows=7), pruning()))
    removed = [count for kind, count in counts if kind == "events"]
    assert sum(removed) == 4 * 17 + 1
    assert max(removed) == 7
    kept = set(RunEvent.objects.values_list("run_id", flat=True))
    assert kept == {young.id, late.id, *(run.id for run in open_)}
    assert Run.objects.count() == 8


@pytest.mark.django_db(transaction=True)
def test_a_run_of_many_events_is_removed_from_its_end(run_settings: Any) -> None:
    """A concurrent reader finds a beginning without an end, never a gap."""
    run = make_run("success", age=40 * DAY)
    make_events(run, 25)
    removal = steps(Policy(clock.now() - timedelta(days=30), rows=10), pruning())
    left = []
    for kind, count in removal:
        if kind == "events" and count:
            left.append(list(RunEvent.objects.order_by("seq").values_list("seq", flat=True)))
    assert left == [list(range(1, 16)), list(range(1, 6)), []]


@pytest.mark.django_db(transaction=True)
def test_old_runs_go_with_their_events_but_for_the_newest_finished_one_of_a_thread(run_settings: Any) -> None:
    thread = make_thread(epoch=1)
    first, second, third = (
        make_run("success", thread=thread, age=age * DAY, base=[["x"]]) for age in (60, 50, 40)
    )
    other = make_thread(epoch=1)
    before, newest, waiting = (
        make_run("error", thread=other, age=60 * DAY),
        make_run("interrupted", thread=other, age=50 * DAY),
        make_run("pending", thread=other, age=45 * DAY),
    )
    recent = make_thread(epoch=1)
    old, young = make_run("success", thread=recent, age=50 * DAY), make_run("success", thread=recent, age=DAY)
    for run in (first, second, third, newest):
        make_events(run, 3)
    report = report_of(Policy(runs_before=clock.now() - timedelta(days=30), rows=2))
    assert report.runs == 4
    assert set(Run.objects.values_list("id", flat=True)) == {third.id, newest.id, waiting.id, young.id}
    assert report.events == 6
    assert not Run.objects.filter(id__in=[before.id, old.id]).exists()


async def test_a_thread_whose_old_runs_are_gone_goes_on(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("questions"))
    again = await driver.finish(await driver.resume("questions", "one", thread=run.thread_id))
    assert (await in_database(report_of, Policy(runs_before=clock.now()))).runs == 1
    assert await in_database(Run.objects.filter(thread=run.thread_id).get) == again
    last = await driver.finish(await driver.resume("questions", "two", thread=run.thread_id))
    assert last.thread.values["log"][2:] == ["first=one", "second=two"]


@pytest.mark.django_db(transaction=True)
def test_rows_of_workers_that_stopped_long_ago_go(run_settings: Any) -> None:
    now = clock.now()
    gone = make_worker(stopped_at=now - timedelta(days=8))
    named = make_worker(stopped_at=now - timedelta(days=8))
    make_run("running", worker=named)
    recent, alive = make_worker(stopped_at=now - timedelta(days=6)), make_worker()
    assert report_of(Policy()).workers == 1
    assert set(Worker.objects.values_list("id", flat=True)) == {named.id, recent.id, alive.id}
    assert gone.id not in Worker.objects.values_list("id", flat=True)


@pytest.mark.django_db(transaction=True)
def test_bulk_actions_that_ended_long_ago_go_with_their_refusals(run_settings: Any) -> None:
    now, old = clock.now(), clock.now() - timedelta(days=91)
    for ended_at in (old, now, None):
        bulk = BulkAction.objects.create(
            kind="cancel", who="ada", origin="admin", created_at=old, ended_at=ended_at
        )
        BulkTarget.objects.create(bulk=bulk, run_id=new_id(), refusal="it has ended")
    assert retention.survey(Policy()).bulk_actions == 1
    assert report_of(Policy()).bulk_actions == 1
    assert BulkAction.objects.count() == BulkTarget.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_records_of_runs_that_were_removed_long_ago_go(run_settings: Any) -> None:
    thread, kept, old = make_thread(), new_id(), first_id(clock.now() - timedelta(days=91))
    for id, thread_id in ((kept, thread.id), (old, thread.id), (UUID(int=old.int + 1), None)):
        RunAction.objects.create(
            id=id, run_id=new_id(), thread_id=thread_id, kind="roll_back", who="ada", origin="admin",
            created_at=clock.now(),
        )  # fmt: skip
    assert retention.survey(Policy()).records == 1
    assert report_of(Policy()).records == 1
    assert not RunAction.objects.filter(id=old).exists()
    assert RunAction.objects.count() == 2


async def test_the_sweep_removes_what_the_settings_say(quiet: Any, driver: Driver) -> None:
    quiet(EVENT_RETENTION=10 * DAY, RUN_RETENTION=20 * DAY)

    def prepare() -> None:
        thread = make_thread(epoch=1)
        for age in (30, 25, 15, 5):
            make_events(make_run("success", thread=thread, age=age * DAY), 2)

    await in_database(prepare)
    report = await retention.sweep(driver.runtime.storage)
    assert (report.runs, report.events) == (2, 6)
    quiet(EVENT_RETENTION=0, RUN_RETENTION=0, WEBHOOK_RETENTION=0)
    assert Policy.of_settings() == Policy(None, None)


async def test_threads_of_stateless_runs_are_removed_by_both_sweeps(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = RunRequest("steps", input={"log": []}, on_completion="delete")
    run = await driver.finish(await create_run(request, principal=driver.principal, thread_id=None))
    assert (await retention.sweep(driver.runtime.storage)).threads_discarded == 0
    monkeypatch.setattr(deletion, "DISCARD_AFTER", 0.0)
    assert (await retention.sweep(driver.runtime.storage)).threads_discarded == 1
    assert await in_database(traces, run.thread_id) == {}
    run = await driver.finish(await create_run(request, principal=driver.principal, thread_id=None))
    assert (await retention.sweep(driver.runtime.storage)).threads_discarded == 1
    assert await in_database(traces, run.thread_id) == {}


async def test_two_passes_at_once_remove_everything_once(quiet: Any, driver: Driver) -> None:
    def prepare() -> int:
        for _ in range(30):
            make_events(make_run("success", age=40 * DAY), 20)
        return RunEvent.objects.count()

    count = await in_database(prepare)
    policy = Policy(events_before=clock.now() - timedelta(days=30), rows=50)
    reports = await asyncio.gather(
        *(asyncio.to_thread(closing_connection, report_of, policy) for _ in range(2))
    )
    assert count == 600
    assert sum(report.events for report in reports) == count
    assert not await in_database(RunEvent.objects.exists)
