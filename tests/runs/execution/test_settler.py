"""Settling: runs that end at about the same time share a transaction, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections, transaction

from runs.events.buffer import RunStream
from runs.events.table import Event, Part
from runs.exceptions import RunLost
from runs.execution.settler import Settler
from runs.lifecycle import settlement
from runs.lifecycle.outcomes import Ending, Outcome
from runs.lifecycle.settlement import Ended
from runs.models import Run, RunEvent
from tests.support.rows import make_run, make_thread
from threads.db.database import in_database, threads
from threads.db.fields import Encoded
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_connection_is_left() -> Iterator[None]:
    yield
    threads.close()


def ended(run: Run, *, ending: Ending = Ending.SUCCESS, **fields: Any) -> Ended:
    events = [Event(run.epoch, 1, "values", "{}")]
    outcome = Outcome(ending, **{"interrupts": {}, "values": Encoded('{"log":[1]}'), **fields})
    return Ended(run, outcome, Part(run.id, run.thread_id, run.epoch, events), 7)


def in_another_thread(work: Any) -> threading.Thread:
    def working() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=working)
    thread.start()
    return thread


async def test_runs_that_end_while_a_transaction_is_under_way_share_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int] = []

    def counted(batch: Any) -> Any:
        batches.append(len(batch))
        return settlement.settle_together(batch)

    monkeypatch.setattr("runs.execution.settler.settle_together", counted)
    runs = await in_database(lambda: [make_run("running") for _ in range(9)])
    settler = Settler()
    first = asyncio.create_task(settler.write(ended(runs[0])))
    while not batches:
        await asyncio.sleep(0.001)
    others = [settler.write(ended(run)) for run in runs[1:]]
    assert await asyncio.gather(first, *others) == [False] * 9
    assert sum(batches) == 9
    assert len(batches) < 9
    assert await in_database(Run.objects.filter(status="success", event_count=7).count) == 9
    assert await in_database(RunEvent.objects.count) == 9


def test_each_run_of_a_batch_leaves_its_own_on_its_thread() -> None:
    plain = make_run("running")
    asking = make_run("running")
    question = {"task": [{"id": "i", "value": "sure?"}]}
    failed = make_run("running", thread=make_thread(status="busy", values={"kept": True}, ttl_minutes=5))
    followed = make_run("running")
    make_run(thread=followed.thread)
    temporary = make_run("running", temporary=True)
    error = {"error": "ValueError", "message": "no"}
    batch = [
        ended(plain),
        ended(asking, interrupts=question, next=["ask"]),
        ended(failed, ending=Ending.ERROR, error=error, detail=error, values=None, interrupts=None),
        ended(followed),
        ended(temporary),
    ]
    busy = settlement.settle_together(batch)
    assert [busy[(run.id, run.epoch)] for run in (plain, asking, failed, followed, temporary)] == [
        False, False, False, True, False,
    ]  # fmt: skip
    thread = {
        run.id: Thread.objects.get(id=run.thread_id) for run in (plain, asking, failed, followed, temporary)
    }
    assert (thread[plain.id].status, thread[plain.id].values) == ("idle", {"log": [1]})
    assert (thread[asking.id].status, thread[asking.id].interrupts) == ("interrupted", question)
    left = thread[failed.id]
    assert (left.status, left.error, left.values, left.interrupts) == ("error", error, {"kept": True}, {})
    assert left.expires_at is not None
    assert (thread[followed.id].status, thread[followed.id].resting_status) == ("busy", "idle")
    assert thread[temporary.id].discarded_at is not None
    assert thread[plain.id].discarded_at is None
    assert Run.objects.get(id=failed.id).error == error
    assert Run.objects.filter(worker__isnull=False).count() == 0


@pytest.mark.parametrize("taken", ["epoch", "status"])
def test_of_a_lost_run_nothing_is_written_and_the_others_of_the_batch_are(taken: str) -> None:
    lost, kept = make_run("running"), make_run("running")
    if taken == "epoch":
        Thread.objects.filter(id=lost.thread_id).update(epoch=lost.epoch + 1)
    else:
        Run.objects.filter(id=lost.id).update(status="pending", worker=None)
    assert settlement.settle_together([ended(lost), ended(kept)]) == {(kept.id, kept.epoch): False}
    assert set(RunEvent.objects.values_list("run_id", flat=True)) == {kept.id}
    assert Thread.objects.get(id=lost.thread_id).values is None
    with pytest.raises(RunLost):
        settlement.settle(ended(lost))
    assert not RunEvent.objects.filter(run_id=lost.id).exists()


def test_two_attempts_of_one_run_in_a_batch_are_told_apart() -> None:
    old = make_run("running")
    Thread.objects.filter(id=old.thread_id).update(epoch=2)
    Run.objects.filter(id=old.id).update(epoch=2, attempt=2)
    new = Run.objects.get(id=old.id)
    late = ended(old, values=Encoded('{"log":["old"]}'))
    assert settlement.settle_together([late, ended(new)]) == {(new.id, 2): False}
    assert Thread.objects.get(id=new.thread_id).values == {"log": [1]}
    assert set(RunEvent.objects.values_list("epoch", flat=True)) == {2}


@pytest.mark.postgresql
async def test_a_thread_that_is_locked_holds_up_nobody_elses_run() -> None:
    held, free = await in_database(lambda: [make_run("running") for _ in range(2)])
    locked, release = threading.Event(), threading.Event()

    def lock() -> None:
        with transaction.atomic():
            Thread.objects.locked().get(id=held.thread_id)
            locked.set()
            release.wait(30)

    locker = in_another_thread(lock)
    try:
        await asyncio.to_thread(locked.wait, 30)
        settler = Settler()
        waiting = asyncio.create_task(settler.write(ended(held)))
        async with asyncio.timeout(10):
            assert await settler.write(ended(free)) is False
        assert not waiting.done()
        release.set()
        assert await waiting is False
    finally:
        release.set()
        await asyncio.to_thread(locker.join)


async def test_what_the_database_refuses_fails_its_own_run_alone() -> None:
    bad, good = await in_database(lambda: [make_run("running") for _ in range(2)])
    settler = Settler()
    refused = ended(bad, input_tokens=-1)
    results = await asyncio.gather(settler.write(refused), settler.write(ended(good)), return_exceptions=True)
    assert isinstance(results[0], Exception)
    assert results[1] is False
    assert await in_database(lambda: Run.objects.get(id=bad.id).status) == "running"


def stream_of(run: Run) -> RunStream:
    class Unread:
        def written_soon(self, stream: RunStream) -> None: ...

        async def flush(self) -> None: ...

    return RunStream(Unread(), run_id=run.id, thread_id=run.thread_id, epoch=run.epoch, first=True)


async def test_a_run_whose_result_the_database_refuses_ends_in_an_error() -> None:
    run = await in_database(make_run, "running")
    stream = stream_of(run)
    stream.append("updates", '{"a":1}')
    outcome = Outcome(Ending.SUCCESS, values=Encoded("{}"), input_tokens=-1, events=[("values", "{}")])
    settled = await Settler().settle(run, outcome, stream)
    row = await in_database(lambda: Run.objects.select_related("thread").get(id=run.id))
    assert (settled.final, row.status, row.thread.status) == (True, "error", "error")
    assert row.error == {
        "error": "ResultRefused",
        "message": "The database refused the run's result, because of its content: IntegrityError.",
    }
    events = await in_database(lambda: list(RunEvent.objects.order_by("seq").values_list("event", flat=True)))
    assert events == ["updates", "error"]
    assert row.event_count == 2
    assert stream.result is not None
    assert "ResultRefused" in stream.result


@pytest.mark.parametrize(
    ("ending", "left"), [(Ending.SUCCESS, "error"), (Ending.DRAINED, "pending"), (Ending.ROLLED_BACK, None)]
)
async def test_events_that_the_database_refuses_are_left_out(ending: Ending, left: str | None) -> None:
    run = await in_database(make_run, "running")
    stream = stream_of(run)
    stream.append("updates|\udce9", "{}")
    await Settler().settle(run, Outcome(ending), stream)
    row = await in_database(Run.objects.filter(id=run.id).first)
    assert (row and row.status) == left
    if ending is Ending.DRAINED:
        assert row is not None
        assert row.lost_attempts == 1
