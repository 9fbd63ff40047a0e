"""A run is deleted while a statement of its owner still waits; its events go in steps after it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from runs.deletion import all_remains, remains
from runs.events import table
from runs.events.table import START, Event, Part
from runs.lifecycle import cancellation
from runs.lifecycle.operators.operations import Operator
from runs.lifecycle.operators.transfers import exported, imported
from runs.models import DeletedRun, Run, RunEvent, RunStatus
from runs.retention.policy import Policy, survey
from tests.support.driving import Driver
from tests.support.retention import quiet, report_of
from tests.support.rows import make_events, make_run
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread

__all__ = ["quiet"]

EVENTS = RunEvent._meta.db_table

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def waits() -> bool:
    with connection.cursor() as cursor:
        # Else a transaction sees what it saw first.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ended", [True, False], ids=["just-ended", "executing"])
def test_events_that_wait_for_the_threads_lock_are_not_added_to_a_deleted_run(ended: bool) -> None:
    run = make_run("running")
    part = Part(run.id, run.thread_id, run.epoch, [Event(run.epoch, 1, "values", "{}")])
    live: list[object] = []

    def append() -> None:
        try:
            live.append(table.append([part], now=clock.now()))
        finally:
            connections.close_all()

    late = threading.Thread(target=append)
    with transaction.atomic():
        # The settlement's lock; the deletion is next in the queue for it.
        assert Thread.objects.filter(id=run.thread_id).locked().first() is not None
        late.start()
        until = time.monotonic() + 10
        while not waits():
            assert time.monotonic() < until
            time.sleep(0.01)
        if ended:
            Run.objects.filter(id=run.id).update(status=RunStatus.SUCCESS)
        cancellation.delete(run.id, thread_id=run.thread_id)
    late.join(10)
    assert live == [set()]
    assert not RunEvent.objects.filter(run=run.id).exists()


@pytest.mark.django_db(transaction=True)
def test_the_events_of_a_deleted_run_are_removed_in_steps_by_any_pass(run_settings: Any) -> None:
    run_settings(EVENT_RETENTION=0.0)
    run, other = make_run("success", event_count=17), make_run("success")
    make_events(run, 17)
    make_events(other, 2)
    with CaptureQueriesContext(connection) as queries:
        cancellation.delete(run.id, thread_id=run.thread_id)
    assert not [each for each in queries if each["sql"].startswith(f'DELETE FROM "{EVENTS}"')]
    assert not Run.objects.filter(id=run.id).exists()
    assert RunEvent.objects.filter(run=run.id).count() == survey(Policy()).events == 17
    report = report_of(Policy(rows=5))
    assert report.events == 17
    assert set(RunEvent.objects.values_list("run", flat=True)) == {other.id}
    assert not DeletedRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_each_transaction_of_a_large_deletion_is_bounded(run_settings: Any) -> None:
    run = make_run("success", event_count=17)
    make_events(run, 17)
    cancellation.delete(run.id, thread_id=run.thread_id)
    assert list(remains([run.id], rows=5)) == [("events", 5), ("events", 5), ("events", 5), ("events", 2)]
    # A run without events leaves nothing to do.
    bare = make_run("success")
    cancellation.delete(bare.id, thread_id=bare.thread_id)
    assert not DeletedRun.objects.exists()
    assert list(all_remains(rows=5)) == []


async def test_a_reader_of_a_deleted_run_does_not_get_what_is_left_of_it(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("steps"))
    await in_database(cancellation.delete, run.id, thread_id=run.thread_id)
    assert await in_database(RunEvent.objects.filter(run=run.id).exists)
    assert [batch async for batch in driver.runtime.hub.follow(run.id, START)] == []


async def test_a_deleted_run_has_no_events_when_its_client_is_answered(quiet: Any, driver: Driver) -> None:
    run = await driver.finish(await driver.start("steps"))
    await cancellation.delete_run(run.id, thread_id=run.thread_id, principal=driver.principal)
    assert not await in_database(RunEvent.objects.filter(run=run.id).exists)
    assert not await in_database(DeletedRun.objects.exists)


@pytest.mark.django_db(transaction=True)
def test_a_copy_of_a_run_that_was_just_deleted_here_keeps_its_events() -> None:
    run = make_run("success", event_count=3)
    make_events(run, 3)
    file = list(exported(run))
    make_events(make_run("success"), 1)
    cancellation.delete(run.id, thread_id=run.thread_id)
    copy = imported(file[:-1], user_id=run.user_id, by=Operator("ada", "command"))
    report_of(Policy())
    assert RunEvent.objects.filter(run=copy).count() == copy.event_count == 2
