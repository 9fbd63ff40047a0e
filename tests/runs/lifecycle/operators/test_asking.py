"""Which run's question waits: it is answered there, with its assistant, and nowhere else."""

from __future__ import annotations

from uuid import uuid4

import pytest

from runs.admin.inbox import Wanted, waiting
from runs.lifecycle import cancellation
from runs.lifecycle.operators import operations
from runs.lifecycle.operators.asking import asking_run
from runs.lifecycle.operators.operations import Refused
from runs.lifecycle.operators.waiting import waiting as runs_that_wait
from runs.models import Run
from tests.runs.admin.test_run_page import part
from tests.runs.lifecycle.operators.test_operations import ADA
from tests.support.admin_site import sign_in
from tests.support.driving import Driver
from tests.support.rows import make_run, make_thread
from threads.db.database import in_database

ASKED = {"task": [{"id": "0" * 32, "value": "Fine?"}]}


async def test_only_the_run_that_asked_takes_the_answer(driver: Driver) -> None:
    earlier = await driver.start("steps")
    await driver.finish(earlier)
    asks = await driver.start("asking", thread=earlier.thread_id)
    row = await driver.finish(asks)
    later = await driver.start("steps", thread=earlier.thread_id, after_seconds=600)
    await in_database(cancellation.cancel, later.id, action="interrupt")
    ((interrupt,),) = row.thread.interrupts.values()

    for other in (earlier, later):
        with pytest.raises(Refused, match=f"the run {asks.id} of its thread asked; answer it there"):
            await in_database(operations.answer, other.id, ADA, {interrupt["id"]: "yes"})
    assert await in_database(lambda: list(Run.objects.filter(runs_that_wait()))) == [asks]
    (found,) = await in_database(waiting, Wanted())
    assert found.asking == asks.id
    client = await in_database(sign_in, is_superuser=True)
    facts = {run: await in_database(part, client, run, "facts") for run in (earlier, asks, later)}
    assert [len(each["questions"]) for each in facts.values()] == [0, 1, 0]
    there = f"/admin/runs/run/{asks.id}/change/"
    assert [each["asking"] for each in facts.values()] == [there, None, there]

    answered = await in_database(operations.answer, asks.id, ADA, {interrupt["id"]: "yes"})
    done = await driver.finish(answered)
    assert (done.status, done.graph_id, done.parent_id) == ("success", "asking", asks.id)
    assert await in_database(asking_run, done.thread) is None


@pytest.mark.django_db
def test_a_delayed_run_that_was_executed_last_asked() -> None:
    thread = make_thread(status="interrupted", interrupts=ASKED, epoch=1)
    delayed = make_run("success", thread=thread, age=60)
    make_run("success", thread=thread)
    Run.objects.filter(id=delayed.id).update(epoch=2)
    assert asking_run(thread) == delayed.id
    assert [each.asking for each in waiting(Wanted())] == [delayed.id]


@pytest.mark.django_db
def test_no_run_asked_on_a_copied_thread() -> None:
    thread = make_thread(status="interrupted", interrupts=ASKED)
    run = make_run("pending", thread=thread)
    cancellation.cancel(run.id, action="interrupt")
    thread.refresh_from_db()
    assert asking_run(thread) is None
    with pytest.raises(Refused, match="no question waits"):
        operations.answer(run.id, ADA, {str(uuid4()): 1})
