"""A due cron fires once, under rivals and crashes.

A failing one records its reason and blocks no other.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from runs.crons import firing
from runs.crons.editing import set_enabled
from runs.crons.firing import fire
from runs.lifecycle.records import Operator
from runs.models import Cron, Run
from runs.process.current import ring
from runs.process.wakeups import CRONS
from tests.support.driving import Driver
from tests.support.rows import make_assistant, make_run, make_thread, make_user
from threads.db import clock
from threads.db.database import in_database
from threads.db.ids import new_id
from threads.models import Thread

ADA = Operator("ada", "admin")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_settings")]


def make_cron(*, overdue: float = 1.0, **fields: Any) -> Cron:
    """A cron for every minute that has been due for `overdue` seconds."""
    now = clock.now()
    if "user" not in fields:
        fields["user"] = fields["thread"].user if fields.get("thread") else make_user()
    if "assistant" not in fields:
        fields["assistant"] = make_assistant("sleeping")
    values = {
        "id": new_id(),
        "schedule": "* * * * *",
        "payload": {"assistant_id": "sleeping", "input": {"log": []}},
        "on_run_completed": None if fields.get("thread") else "delete",
        "next_run_date": now - timedelta(seconds=overdue),
        "created_at": now,
        "updated_at": now,
    }
    return Cron.objects.create(**{**values, **fields})


def test_it_creates_one_run_and_goes_on_with_its_next_date() -> None:
    cron = make_cron(overdue=10 * 86_400, metadata={"a": 1}, timezone="Europe/Berlin")
    fired = fire(cron.id)
    assert fired is not None and fired.admitted is not None
    run = Run.objects.get()
    assert run.id == fired.admitted.run.id
    assert (run.status, run.user_id, run.temporary) == ("pending", cron.user_id, True)
    assert run.metadata["cron_id"] == run.kwargs["config"]["configurable"]["cron_id"] == str(cron.id)
    cron.refresh_from_db()
    assert (cron.last_run_id, cron.last_error) == (run.id, None)
    # Ten days were missed; they are not made up for.
    assert cron.next_run_date is not None
    assert timedelta() < cron.next_run_date - clock.now() <= timedelta(minutes=1)
    assert fire(cron.id) is None
    assert Run.objects.count() == 1


def again(cron: Cron) -> firing.Fired:
    """Fire a cron whose next date has come."""
    Cron.objects.filter(id=cron.id).update(next_run_date=clock.now() - timedelta(seconds=1))
    fired = fire(cron.id)
    assert fired is not None
    return fired


@pytest.mark.parametrize("on_thread", [True, False])
def test_runs_that_do_not_get_their_turn_do_not_pile_up(on_thread: bool) -> None:
    cron = make_cron(thread=make_run("running", thread=make_thread(epoch=1)).thread if on_thread else None)
    fire(cron.id)
    waiting = Run.objects.get(status="pending")
    for _ in range(3):
        assert again(cron) == firing.Fired(None, firing.STILL_WAITS)
    cron.refresh_from_db()
    assert (cron.last_run_id, cron.last_error) == (waiting.id, firing.STILL_WAITS)
    assert cron.next_run_date is not None and cron.next_run_date > clock.now()
    assert Run.objects.filter(status="pending").count() == 1
    # An operator who fires it by hand has a reason.
    by_hand = fire(cron.id, by=ADA)
    assert by_hand is not None and by_hand.admitted is not None
    Run.objects.filter(status="pending").update(status="success", finished_at=clock.now())
    assert again(cron).admitted is not None
    cron.refresh_from_db()
    assert cron.last_error is None


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_runs_that_take_the_place_of_those_before_cannot_pile_up(strategy: str) -> None:
    thread = make_run("running", thread=make_thread(epoch=1)).thread
    cron = make_cron(thread=thread, payload={"input": {"log": []}, "multitask_strategy": strategy})
    fire(cron.id)
    before = Run.objects.get(status="pending")
    assert again(cron).admitted is not None
    assert Run.objects.get(status="pending").id != before.id


def test_a_run_that_waits_for_its_time_does_not_keep_the_next_one_back() -> None:
    cron = make_cron(payload={"input": {"log": []}, "after_seconds": 600})
    fire(cron.id)
    assert again(cron).admitted is not None
    assert Run.objects.filter(status="pending").count() == 2


def test_a_run_on_a_thread_keeps_it_and_waits_for_its_turn() -> None:
    running = make_run("running", thread=make_thread(epoch=1))
    fire(make_cron(thread=running.thread).id)
    run = Run.objects.exclude(id=running.id).get()
    assert (run.thread_id, run.status, run.temporary) == (running.thread_id, "pending", False)


def test_the_thread_of_a_run_may_be_kept() -> None:
    fire(make_cron(on_run_completed="keep").id)
    assert not Run.objects.get().temporary


def test_nothing_fires_that_is_disabled_or_over_or_not_due() -> None:
    crons = [make_cron(enabled=False), make_cron(next_run_date=None), make_cron(overdue=-30)]
    assert [fire(cron.id) for cron in crons] == [None] * 3
    assert firing.due_crons() == []
    assert firing.next_due() == crons[2].next_run_date


def test_it_ends_with_its_end_time() -> None:
    cron = make_cron(schedule="0 0 1 1 *", end_time=clock.now() + timedelta(seconds=1))
    assert fire(cron.id) is not None
    cron.refresh_from_db()
    assert cron.next_run_date is None


def gone(cron: Cron) -> None:
    Thread.objects.filter(id=cron.thread_id).update(discarded_at=clock.now())


def busy(cron: Cron) -> None:
    assert cron.thread is not None
    make_run("pending", thread=cron.thread)
    Cron.objects.filter(id=cron.id).update(payload={**cron.payload, "multitask_strategy": "reject"})


def inactive(cron: Cron) -> None:
    cron.user.is_active = False
    cron.user.save()


def broken(cron: Cron) -> None:
    Cron.objects.filter(id=cron.id).update(payload={"stream_mode": "bogus"})


def hooked(cron: Cron) -> None:
    Cron.objects.filter(id=cron.id).update(payload={**cron.payload, "webhook": "https://127.0.0.1/"})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (gone, "Thread or assistant not found."),
        (busy, "Thread is already running a task."),
        (inactive, "The cron's user is not active."),
        (broken, "stream_mode"),
        (hooked, "Webhook host blocked: loopback IP range"),
    ],
)
def test_one_that_cannot_fire_says_why_and_goes_on(spoil: Callable[[Cron], None], reason: str) -> None:
    cron = make_cron(thread=make_thread())
    spoil(cron)
    before = Run.objects.count()
    fired = fire(cron.id)
    assert fired is not None and fired.admitted is None
    cron.refresh_from_db()
    assert cron.last_error is not None and cron.last_error.startswith(reason)
    assert cron.next_run_date is not None and cron.next_run_date > clock.now()
    assert (Run.objects.count(), cron.last_run_id) == (before, None)


@pytest.mark.parametrize(
    ("column", "reason"), [("schedule", "Invalid cron schedule"), ("timezone", "Invalid timezone")]
)
def test_one_whose_schedule_became_invalid_is_switched_off_and_says_why(column: str, reason: str) -> None:
    cron = make_cron()
    Cron.objects.filter(id=cron.id).update(**{column: "No/Where * * * *"})
    fire(cron.id)
    cron.refresh_from_db()
    assert not cron.enabled
    assert cron.last_error is not None and cron.last_error.startswith(reason)
    assert firing.due_crons() == []
    # An operator who switches it on again reads why it stays off.
    Cron.objects.filter(id=cron.id).update(last_error=None)
    assert set_enabled(cron.id, enabled=True) is False
    cron.refresh_from_db()
    assert not cron.enabled
    assert cron.last_error is not None


def test_an_error_that_nobody_foresaw_is_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cron = make_cron()

    def fails(*args: Any, **kwargs: Any) -> Any:
        Cron.objects.update(last_error="half done")
        raise TypeError("no such thing\0\udce9")

    monkeypatch.setattr("runs.lifecycle.admission.admit", fails)
    fire(cron.id)
    cron.refresh_from_db()
    assert cron.last_error == "TypeError: no such thing\N{REPLACEMENT CHARACTER}\ufffd"
    assert cron.next_run_date is not None and cron.next_run_date > clock.now()


def test_a_database_that_fails_leaves_it_due(monkeypatch: pytest.MonkeyPatch) -> None:
    cron = make_cron()

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("connection lost")

    monkeypatch.setattr("runs.lifecycle.admission.admit", fails)
    with pytest.raises(OperationalError):
        fire(cron.id)
    monkeypatch.undo()
    assert firing.due_crons() == [cron.id]
    assert fire(cron.id) is not None
    assert Run.objects.count() == 1


def test_with_its_assistant_or_thread_it_goes() -> None:
    assistant, thread = make_assistant("sleeping", user=make_user()), make_thread()
    make_cron(assistant=assistant), make_cron(thread=thread)
    assistant.delete()
    thread.delete()
    assert Cron.objects.count() == 0


def test_a_person_can_fire_it_beside_its_schedule() -> None:
    cron = make_cron(overdue=-3600, enabled=False)
    assert fire(cron.id, by=ADA) is not None
    assert Run.objects.count() == 1
    row = Cron.objects.get()
    assert (row.next_run_date, row.enabled) == (cron.next_run_date, False)


# --- crashes and rivals


class Died(BaseException):
    """The process crashed."""


class DeadMan:
    """Crashes at the `point`-th statement: before it, or directly after it."""

    def __init__(self, point: int, when: str) -> None:
        self.point, self.when, self.count = point, when, 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        if self.count == self.point and self.when == "before":
            raise Died
        result = execute(sql, params, many, context)
        if self.count == self.point:
            raise Died
        return result


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_between_any_two_statements_loses_and_repeats_nothing(when: str) -> None:
    point, died = 0, True
    while died:
        point += 1
        # A minute may pass during the test.
        cron = make_cron(schedule="0 0 1 1 *")
        dead_man = DeadMan(point, when)
        try:
            with connection.execute_wrapper(dead_man):
                fire(cron.id)
            died = False
        except Died:
            # The crash also ends its connection and its transaction.
            connection.close()
        # Another process checks for due crons.
        if firing.due_crons():
            assert died
            assert fire(cron.id) is not None
        assert Run.objects.filter(metadata__cron_id=str(cron.id)).count() == 1
        assert firing.due_crons() == []
    assert point > 5


@pytest.mark.postgresql
def test_of_several_processes_one_fires_it() -> None:
    crons = [make_cron() for _ in range(10)]
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def race() -> None:
        try:
            barrier.wait(10)
            for cron in crons:
                fire(cron.id)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    rivals = [threading.Thread(target=race) for _ in range(4)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(30)
    assert errors == []
    assert sorted(run.metadata["cron_id"] for run in Run.objects.all()) == sorted(str(c.id) for c in crons)


@pytest.mark.postgresql
def test_a_cron_that_another_process_is_firing_is_not_waited_for() -> None:
    held, other = make_cron(), make_cron()
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Cron.objects.select_for_update().get(id=held.id)
            locked.set()
            done.wait(20)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(10)
    try:
        assert fire(held.id) is None
        assert fire(other.id) is not None
    finally:
        done.set()
        holder.join(10)
    assert fire(held.id) is not None


# --- the scheduler


async def runs_of(driver: Driver, cron: Cron, count: int) -> list[Run]:
    def find() -> list[Run]:
        return list(Run.objects.filter(metadata__cron_id=str(cron.id)))

    async with asyncio.timeout(20):
        while len(found := await in_database(find)) < count:
            await asyncio.sleep(0.01)
    return found


async def test_a_process_that_executes_fires_what_is_due(driver: Driver) -> None:
    cron = await in_database(make_cron, on_run_completed="keep")
    ring(CRONS)
    (run,) = await runs_of(driver, cron, 1)
    assert (await driver.finish(run)).status == "success"


async def test_it_sleeps_until_the_next_one_is_due(driver: Driver, run_settings: Any) -> None:
    run_settings(SWEEP=3600.0)
    ring(CRONS)
    cron = await in_database(make_cron, overdue=-0.4, on_run_completed="keep")
    ring(CRONS)
    (run,) = await runs_of(driver, cron, 1)
    assert cron.next_run_date is not None
    assert timedelta() <= run.created_at - cron.next_run_date < timedelta(seconds=2)


async def test_one_that_fails_in_the_database_does_not_stop_the_others(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await in_database(make_cron, overdue=100)
    second = await in_database(make_cron, on_run_completed="keep")
    real = firing.fire

    def fails(cron_id: Any, **kwargs: Any) -> Any:
        if cron_id == first.id:
            raise OperationalError("locked")
        return real(cron_id, **kwargs)

    monkeypatch.setattr(firing, "fire", fails)
    ring(CRONS)
    await runs_of(driver, second, 1)
    monkeypatch.undo()
    await runs_of(driver, first, 1)
