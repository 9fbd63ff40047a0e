"""Reading a log's times, in batches and across attempts."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.events import table
from runs.models import RunEvent
from tests.support.rows import make_events, make_run

pytestmark = pytest.mark.django_db


def test_the_times_of_a_part_are_read_without_the_rest() -> None:
    run = make_run("success")
    make_events(run, 50)
    now = timezone.now()
    RunEvent.objects.bulk_create(
        RunEvent(run=run, epoch=2, seq=seq, event="values", data="{}", created_at=now) for seq in (1, 2, 3)
    )
    with CaptureQueriesContext(connection) as captured:
        found = table.times(run.id, (1, 10), (1, 12))
    assert list(found) == [(1, 10), (1, 11), (1, 12)]
    # A long attempt of 10,000 events took 1.2 s when each batch read all of them.
    with connection.cursor() as cursor:
        cursor.execute(captured.captured_queries[0]["sql"])
        assert len(cursor.fetchall()) == 3
    assert list(table.times(run.id, (1, 49), (2, 2))) == [(1, 49), (1, 50), (2, 1), (2, 2)]
