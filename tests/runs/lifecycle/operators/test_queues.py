"""Paused queues, and workers that an operator drains."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from runs.lifecycle.claims import claim
from runs.lifecycle.operators import queues
from runs.models import Run, Worker
from runs.process.leases import request_drain
from tests.support.driving import Driver
from tests.support.rows import make_run, make_worker
from threads.db import clock
from threads.db.database import in_database

pytestmark = pytest.mark.django_db(transaction=True)


def test_runs_of_a_paused_queue_are_not_claimed_until_it_is_resumed() -> None:
    slow, quick = make_run(queue="slow"), make_run(queue="default")
    worker = make_worker()
    assert queues.pause("slow", reason="the model is down")
    assert not queues.pause("slow"), "it is paused already"
    assert [run.id for run in claim(worker.id, limit=10)] == [quick.id]
    assert claim(worker.id, limit=10, queues={"slow"}) == []
    assert queues.resume("slow")
    assert not queues.resume("slow")
    assert [run.id for run in claim(worker.id, limit=10)] == [slow.id]


def test_a_paused_queue_finishes_cancellations() -> None:
    run = make_run(attempt=1, cancel_action="rollback")
    queues.pause("default")
    assert [each.id for each in claim(make_worker().id, limit=10)] == [run.id]


def test_the_overview_counts_and_names_queues_without_workers() -> None:
    earlier = clock.now() - timedelta(seconds=50)
    make_run(queue="slow", due_at=earlier)
    make_run(queue="slow", due_at=clock.now() + timedelta(hours=1))
    make_run("running", queue="default", worker=make_worker(queues=["default"]))
    make_worker(queues=["default"], drain_requested_at=clock.now())
    queues.pause("night", reason="deploy")
    found = {queue.name: queue for queue in queues.overview()}
    assert list(found) == sorted(found)
    slow, default, night = found["slow"], found["default"], found["night"]
    assert (slow.pending, slow.running, slow.waiting_since, slow.workers) == (2, 0, earlier, 0)
    assert (default.pending, default.running, default.waiting_since, default.workers) == (0, 1, None, 1)
    assert night.paused_at is not None
    assert night.reason == "deploy"


async def test_a_run_admitted_to_a_paused_queue_waits_for_its_end(driver: Driver) -> None:
    await in_database(queues.pause, "default")
    run = await driver.start("steps")
    await asyncio.sleep(0.5)
    assert (await driver.row(run)).status == "pending"
    await in_database(queues.resume, "default")
    assert (await driver.finish(run)).status == "success"


async def test_a_worker_that_is_asked_to_drain_stops_its_runs_and_ends_its_lease(
    driver: Driver, run_settings: Any
) -> None:
    run_settings(HEARTBEAT=0.2)
    manager: Any = driver.runtime.manager
    run = await driver.start("steps", {"log": [], "delay": 0.2})
    await driver.executing(run, "s0")
    assert await in_database(request_drain, manager.worker_id)
    async with asyncio.timeout(10):
        await manager.enough.wait()
    row = await driver.row(run)
    assert (row.status, row.attempt, row.lost_attempts) == ("pending", 1, 0)
    worker = await in_database(Worker.objects.get, id=manager.worker_id)
    assert worker.stopped_at is not None
    assert not await in_database(request_drain, manager.worker_id), "it is gone"
    later = await driver.start("steps")
    await asyncio.sleep(0.3)
    assert (
        await in_database(Run.objects.filter(id=later.id).values_list("status", flat=True).get) == "pending"
    )
