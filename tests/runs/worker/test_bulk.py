"""The loop that continues bulk actions."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError

from runs.lifecycle.operators.bulk.handling import Step, advance, begin
from runs.lifecycle.operators.operations import Operator
from runs.models import BulkAction, Run
from runs.worker import bulk as loop
from tests.support.driving import Driver
from tests.support.rows import make_run
from threads.db.database import in_database

ADA = Operator("ada", "admin")


async def ended(bulk: BulkAction) -> BulkAction:
    async with asyncio.timeout(20):
        while (found := await in_database(BulkAction.objects.get, id=bulk.id)).ended_at is None:
            await asyncio.sleep(0.02)
    return found


async def test_a_worker_continues_what_others_began(driver: Driver) -> None:
    run = await driver.start("sleeping", {"log": [], "delay": 60.0})
    await driver.executing(run, "sleep")
    bulk = await in_database(begin, "cancel", Run.objects.filter(id=run.id), ADA)
    assert (await driver.finish(run)).status == "interrupted"
    found = await ended(bulk)
    assert (found.state, found.done) == ("finished", 1)


async def test_an_error_of_the_database_only_delays_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "RETRY", 0.01)
    failures = iter(range(2))

    def fails_twice(bulk_id: UUID, **given: Any) -> Step:
        if next(failures, None) is not None:
            raise OperationalError("database is locked")
        return advance(bulk_id, **given)

    monkeypatch.setattr(loop, "advance", fails_twice)
    runs = [await in_database(make_run, "success") for _ in range(3)]
    rows = Run.objects.filter(id__in=[run.id for run in runs])
    bulk = await in_database(begin, "cancel", rows, ADA)
    assert (await ended(bulk)).refused == 3
    assert caplog.text.count("was interrupted, trying again") == 2
