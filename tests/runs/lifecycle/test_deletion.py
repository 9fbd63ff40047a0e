"""A run is deleted while a statement of its owner still waits."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, connections, transaction

from runs.events import table
from runs.events.table import Event, Part
from runs.lifecycle import cancellation
from runs.models import Run, RunEvent, RunStatus
from tests.support.rows import make_run
from threads.db import clock
from threads.models import Thread

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
