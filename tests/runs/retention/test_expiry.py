"""Expiry of threads: when, and that deletions are complete under crashes and races."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from runs import deletion
from runs.exceptions import NotFound
from runs.lifecycle import claims
from runs.lifecycle.orphan_settlement import fail_orphan
from runs.lifecycle.reconcile import Caller, reconcile
from runs.models import Run, WebhookDelivery
from runs.retention import expired_threads, policy
from runs.retention.policy import Policy, prune, steps
from runs.retention.thread_deletion import hide
from tests.support.driving import Driver
from tests.support.receiver import ALLOWED
from tests.support.retention import (
    DAY,
    closing_connection,
    expire,
    later,
    places,
    pruning,
    quiet,
    report_of,
    traces,
    values,
)
from tests.support.rows import make_events, make_run, make_thread, make_worker, orphan
from threads import expiry
from threads.checkpoints import Fenced, ThreadWriter
from threads.db import clock
from threads.db.database import in_database
from threads.expiry import Ttl
from threads.models import Thread, TtlStrategy

__all__ = ["quiet"]


# --- when a thread expires


async def test_a_run_puts_the_expiry_of_its_thread_off_when_it_is_admitted_and_when_it_ends(
    quiet: Any, driver: Driver
) -> None:
    quiet(THREAD_TTL=30.0, THREAD_TTL_STRATEGY="keep_latest")
    run = await driver.start("sleeping", {"log": [], "delay": 0.3})
    thread = await driver.thread(run)
    assert (thread.ttl_minutes, thread.ttl_strategy) == (30.0, "keep_latest")
    assert thread.expires_at == run.created_at + timedelta(minutes=30)
    row = await driver.finish(run)
    assert row.thread.expires_at == later(row.finished_at, 30)
    await in_database(expire, thread.id)
    again = await driver.start("sleeping", thread=thread.id)
    assert (await driver.thread(again)).expires_at == again.created_at + timedelta(minutes=1)


async def test_a_run_that_recovery_ends_puts_the_expiry_off_too(quiet: Any, driver: Driver) -> None:
    thread = await in_database(make_thread, status="busy", epoch=1)
    await in_database(expire, thread.id)
    run = await in_database(orphan, thread=thread)
    report = await in_database(reconcile, caller=Caller(sole=False), action="error")
    assert report.failed == [str(run.id)]
    row = await driver.row(run)
    assert row.thread.expires_at == later(row.finished_at, 1)


@pytest.mark.django_db
def test_without_a_time_to_live_nothing_expires(run_settings: Any) -> None:
    thread = make_thread()
    assert expiry.columns(None, now=clock.now()) == {}
    assert expiry.extended(thread, now=clock.now()) == {}
    make_run("success", thread=thread)
    assert report_of(Policy()).threads_deleted == 0


@pytest.mark.parametrize("status", ["pending", "running"])
@pytest.mark.parametrize("strategy", list(TtlStrategy))
@pytest.mark.django_db(transaction=True)
def test_a_thread_with_a_run_in_flight_never_expires(status: str, strategy: str, run_settings: Any) -> None:
    run = make_run(status)
    expire(run.thread_id, strategy=strategy)
    before = Thread.objects.filter(id=run.thread_id).values().get()
    report = report_of(Policy())
    assert (report.threads_deleted, report.threads_trimmed) == (0, 0)
    assert Thread.objects.filter(id=run.thread_id).values().get() == before


# --- delete


@pytest.mark.parametrize("way", ["expired", "deleted"])
@pytest.mark.django_db(transaction=True)
def test_no_webhook_is_sent_of_a_thread_that_goes(way: str, run_settings: Any) -> None:
    """From the moment on that hides the thread, however long the rest of its removal takes."""
    run_settings(**ALLOWED)
    runs = [orphan(kwargs={"webhook": "http://127.0.0.1:1/"}) for _ in range(2)]
    assert all(fail_orphan(run) for run in runs)
    gone, stays = runs
    if way == "expired":
        expire(gone.thread_id)
        assert next(expired_threads.delete_expired(pruning(), 100)) is not None
    else:
        assert hide([gone.thread_id], principal=gone.thread) == ([gone.thread_id], [])
    assert set(WebhookDelivery.objects.values_list("run_id", flat=True)) == {stays.id}


async def test_of_a_thread_that_expired_nothing_is_left(quiet: Any, driver: Driver) -> None:
    gone = await driver.finish(await driver.start("nested", durability="sync"))
    asked = await driver.finish(await driver.start("questions", thread=gone.thread_id))
    stays = await driver.finish(await driver.start("nested"))
    await in_database(expire, asked.thread_id)
    before = await in_database(traces, gone.thread_id)
    assert {"checkpoints", "checkpoint_writes", "threads", "runs", "events"} <= set(before)
    others = await in_database(traces, stays.thread_id)
    report = await policy.sweep(driver.runtime.storage)
    assert (report.threads_deleted, report.runs, report.events) == (1, 2, before["events"])
    assert await in_database(traces, gone.thread_id) == {}
    assert await in_database(traces, stays.thread_id) == others
    assert await driver.events(gone) == []
    with pytest.raises(NotFound):
        await driver.start("nested", thread=gone.thread_id)
    assert (
        await driver.start("steps", thread=gone.thread_id, if_not_exists="create")
    ).thread_id == gone.thread_id


class Died(Exception):
    """The process crashed here."""


async def test_a_removal_that_dies_anywhere_is_finished_by_the_next(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two transactions, and within each one that deletes checkpoints."""
    monkeypatch.setattr(deletion, "DISCARD_AFTER", 0.0)
    made = [await driver.finish(await driver.start("nested", durability="sync")) for _ in range(3)]

    def die(thread_id: UUID, after: int) -> bool:
        """Whether the removal was complete before the crash."""
        expire(thread_id)
        removal = steps(Policy(rows=40), pruning())
        for _ in range(after):
            if next(removal, None) is None:
                return True
        removal.close()
        return False

    def finish(thread_id: UUID) -> None:
        shown = Thread.objects.visible().filter(id=thread_id)
        assert not shown.exists()
        report_of(Policy())
        assert traces(thread_id) == {}

    for count, run in enumerate(made, start=1):
        assert not await in_database(die, run.thread_id, count)
        await in_database(finish, run.thread_id)
    run = await driver.finish(await driver.start("nested", durability="sync"))

    def die_within() -> None:
        expire(run.thread_id)
        broken = pruning()
        real = broken.delete

        def delete(thread_ids: Any, *, limit: int) -> int:
            real(thread_ids, limit=limit)
            raise Died

        broken.delete = delete  # type: ignore[method-assign]
        with pytest.raises(Died):
            prune(Policy(rows=5), broken)
        assert traces(run.thread_id)

    await in_database(die_within)
    await in_database(finish, run.thread_id)


# --- races


@contextmanager
def held(lock: Callable[[], Any]) -> Iterator[None]:
    """Another connection's open transaction, which holds a lock."""
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            lock()
            locked.set()
            release.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(10)
    try:
        yield
    finally:
        release.set()
        thread.join(10)


@pytest.mark.postgresql
@pytest.mark.parametrize("strategy", list(TtlStrategy))
@pytest.mark.django_db(transaction=True)
def test_a_thread_that_somebody_has_locked_is_left_for_the_next_time(strategy: str) -> None:
    locked, other = make_thread(), make_thread()
    expire(locked.id, other.id, strategy=strategy)
    with held(lambda: Thread.objects.locked().get(id=locked.id)):
        report = report_of(Policy())
    assert report.threads_deleted + report.threads_trimmed == 1
    assert Thread.objects.filter(id=locked.id, expires_at__isnull=False, discarded_at__isnull=True).exists()
    report = report_of(Policy())
    assert report.threads_deleted + report.threads_trimmed == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_runs_are_claimed_while_a_batch_is_being_removed(run_settings: Any) -> None:
    old = make_run("success", thread=make_thread(epoch=1), age=40 * DAY)
    make_events(old, 50)
    expired, waiting = make_thread(), make_run("pending")
    expire(expired.id)
    worker = make_worker()

    def batch() -> None:
        with deletion.turn():
            Thread.objects.filter(id=expired.id).locked().update(discarded_at=clock.now())
            assert deletion._delete_events([old.id], 50) == 50

    with held(batch):
        began = clock.now()
        claimed = claims.claim(worker.id, limit=10)
        took = (clock.now() - began).total_seconds()
    assert [run.id for run in claimed] == [waiting.id]
    assert took < 5.0


@pytest.mark.parametrize("strategy", list(TtlStrategy))
async def test_an_admission_that_comes_first_wins(
    quiet: Any, driver: Driver, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    """A run that is admitted just before the expired thread is locked."""
    run = await driver.finish(await driver.start("steps"))
    await in_database(expire, run.thread_id, strategy=strategy)
    before = await in_database(places, run.thread_id)
    begun: list[Run] = []
    real, loop = expired_threads.turn, asyncio.get_running_loop()

    @contextmanager
    def after_an_admission() -> Iterator[None]:
        if not begun:
            admission = driver.start("sleeping", {"log": [], "delay": 1.0}, thread=run.thread_id)
            begun.append(asyncio.run_coroutine_threadsafe(admission, loop).result(10))
        with real():
            yield

    monkeypatch.setattr(expired_threads, "turn", after_an_admission)
    report = await asyncio.to_thread(closing_connection, report_of, Policy())
    assert (report.threads_deleted, report.threads_trimmed) == (0, 0)
    row = await driver.finish(begun[0])
    assert (row.status, row.thread.values["log"]) == ("success", [*run.thread.values["log"], "sleep"])
    assert set(before) < set(await in_database(places, run.thread_id))


@pytest.mark.parametrize("strategy", list(TtlStrategy))
@pytest.mark.django_db(transaction=True)
def test_a_run_is_noticed_that_did_not_put_the_expiry_off(
    run_settings: Any, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    """As admitted by an earlier version's server, between the query and the lock."""
    thread = make_thread()
    expire(thread.id, strategy=strategy)
    real, due = expired_threads.turn, expired_threads.due

    @contextmanager
    def after_an_insertion() -> Iterator[None]:
        if not Run.objects.exists():
            make_run("pending", thread=thread)
        with real():
            yield

    monkeypatch.setattr(expired_threads, "turn", after_an_insertion)
    # As seen by a statement that began before the insertion.
    monkeypatch.setattr(
        expired_threads, "due", lambda now, way: Thread.objects.filter(expiry.expired(now), ttl_strategy=way)
    )
    report = report_of(Policy())
    assert (report.threads_deleted, report.threads_trimmed) == (0, 0)
    monkeypatch.setattr(expired_threads, "due", due)
    assert Thread.objects.visible().filter(id=thread.id, expires_at__lt=clock.now()).exists()


@pytest.mark.postgresql
@pytest.mark.parametrize("strategy", list(TtlStrategy))
async def test_a_writer_that_wakes_up_late_leaves_nothing_behind(
    quiet: Any, driver: Driver, strategy: str
) -> None:
    run = await driver.finish(await driver.start("steps"))
    storage = driver.runtime.storage
    late = ThreadWriter(storage, thread_id=run.thread_id, epoch=run.epoch, run_id=run.id)
    config: Any = {"configurable": {"thread_id": str(run.thread_id), "checkpoint_ns": ""}}
    found = await storage.reader().aget_tuple(config)
    assert found is not None
    await in_database(expire, run.thread_id, strategy=strategy)
    await policy.sweep(storage)
    left = await in_database(traces, run.thread_id)
    with pytest.raises(Fenced):
        await late.aput(found.config, found.checkpoint, found.metadata, {})
    with pytest.raises(Fenced):
        await late.aput_writes(found.config, [("log", ["late"])], "task")
    assert await in_database(traces, run.thread_id) == left


@pytest.mark.parametrize("strategy", list(TtlStrategy))
async def test_of_many_that_race_each_thread_is_whole_or_gone(
    quiet: Any, driver: Driver, strategy: str
) -> None:
    first = await asyncio.gather(*(driver.start("sleeping") for _ in range(20)))
    made = [await driver.finish(run) for run in first]
    await in_database(expire, *(run.thread_id for run in made), strategy=strategy)

    async def go_on(run: Run, delay: float) -> Run | None:
        await asyncio.sleep(delay)
        try:
            return await driver.finish(await driver.start("steps", thread=run.thread_id))
        except NotFound:
            return None

    more, *_ = await asyncio.gather(
        asyncio.gather(*(go_on(run, number * 0.004) for number, run in enumerate(made))),
        policy.sweep(driver.runtime.storage),
        policy.sweep(driver.runtime.storage),
    )
    # Removes what a request had locked when the others came by.
    await policy.sweep(driver.runtime.storage)
    for run, second in zip(made, more, strict=True):
        left = await in_database(traces, run.thread_id)
        if second is None:
            assert strategy == "delete"
            assert left == {}
        else:
            assert (second.status, left["runs"]) == ("success", 2)
            assert second.thread.values["log"] == ["sleep", *(f"s{number}" for number in range(10))]
            assert (await values(driver, run))[0]["log"] == second.thread.values["log"]


# --- what clients may ask for


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, Ttl(5.0)),
        (0.25, Ttl(0.25)),
        ({"ttl": 43_200}, Ttl(43_200.0)),
        ({"ttl": 1, "strategy": "keep_latest"}, Ttl(1.0, TtlStrategy.KEEP_LATEST)),
        ({"ttl": 1, "strategy": None}, Ttl(1.0)),
    ],
)
def test_a_time_to_live_is_a_number_of_minutes_with_or_without_a_strategy(value: Any, expected: Ttl) -> None:
    assert expiry.parse_ttl(value) == expected
