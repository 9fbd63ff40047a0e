"""Bugs that the state machine found (`test_machine.py`), each as its shortest story."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from runs.lifecycle import cancellation, claims
from runs.models import Run
from tests.machine.rules import Life
from tests.machine.site import Site
from tests.support.rows import make_run, make_thread, make_worker
from threads.models import Thread


@pytest.fixture
def life(site: Site) -> Iterator[Life]:
    class Here(Life):
        pass

    Here.site = site
    machine = Here()
    yield machine
    machine.kill_all()


def requeued(thread: Thread, *, age: float, **fields: object) -> Run:
    """A pending run that an earlier attempt has begun."""
    return make_run("pending", age=age, thread=thread, attempt=1, epoch=1, **fields)


@pytest.mark.django_db(transaction=True)
def test_a_rollback_that_was_asked_first_is_not_turned_into_an_interrupt_by_a_later_cancel() -> None:
    run = requeued(make_thread(status="busy", epoch=2), age=10, cancel_action="rollback")
    cancellation.cancel(run.id, action="interrupt")
    run.refresh_from_db()
    assert (run.status, run.cancel_action) == ("pending", "rollback")


@pytest.mark.django_db(transaction=True)
def test_a_rollback_of_a_requeued_run_comes_before_the_runs_behind_it() -> None:
    # Another run on top of its checkpoints would lose its base with the rollback.
    thread = make_thread(status="busy", epoch=2)
    first = requeued(thread, age=20)
    make_run("pending", age=10, thread=thread)
    cancellation.cancel(first.id, action="rollback")
    assert [run.id for run in claims.claim(make_worker().id, limit=5)] == [first.id]


@pytest.mark.django_db(transaction=True)
def test_a_run_that_has_begun_goes_on_before_one_that_was_admitted_by_an_earlier_clock() -> None:
    # An admission reads the clock, then waits for the thread's lock: another run may be claimed meanwhile. If
    # the claimed run's process is lost, the older run must not execute between its attempts, which would
    # repeat its input.
    thread = make_thread(status="busy", epoch=2)
    begun = requeued(thread, age=10)
    make_run("pending", age=20, thread=thread)
    assert [run.id for run in claims.claim(make_worker().id, limit=5)] == [begun.id]


def ask(life: Life, steps: str) -> str:
    """Start a process and a run with an interrupt; return the run's id."""
    life.begin()
    life.create(thread=0, strategy="enqueue", steps=steps, durability="sync", later=False, slot=0)
    life.steps(number=0, finishes=True)
    assert life.now.threads[life.threads[0].hex]["status"] == "interrupted"
    return next(iter(life.now.runs))


def answer(life: Life) -> str:
    life.answer(number=0, plain=True, strategy="enqueue", slot=0)
    return list(life.accepted)[-1]


def die_after_the_answer(life: Life) -> str:
    """Answer an interrupt; the process crashes after the answer's step is saved.

    Return the run's id.
    """
    ask(life, "as")
    run_id = answer(life)
    life.step(number=0)
    life.crash(slot=0)
    return run_id


def shows_what_it_asks(life: Life) -> bool:
    thread_id = life.threads[0]
    asked, _ = life.site.asked(thread_id)
    return set(life.now.questions(thread_id.hex)) == asked


def test_a_cancelled_run_that_was_requeued_leaves_no_answered_question_behind(life: Life) -> None:
    run_id = die_after_the_answer(life)
    life.reconcile(action="resume")
    life.cancel(number=list(life.accepted)[::-1].index(run_id), action="interrupt")
    while life.now.threads[life.threads[0].hex]["status"] == "busy":
        life.start()
        life.claim(slot=0, limit=1)
        life.finish(number=0)
    assert shows_what_it_asks(life)


def test_an_orphan_that_fails_leaves_no_answered_question_behind(life: Life) -> None:
    die_after_the_answer(life)
    life.reconcile(action="error")
    assert life.now.threads[life.threads[0].hex]["status"] == "error"
    assert shows_what_it_asks(life)


def test_a_thread_with_steps_left_stays_interrupted_when_the_next_run_is_cancelled_before_it_began(
    life: Life,
) -> None:
    life.begin()
    life.create(thread=0, strategy="enqueue", steps="ss", durability="sync", later=False, slot=0)
    life.step(number=0)
    life.cancel(number=0, action="interrupt")
    life.watch(slot=0)
    life.finish(number=0)
    thread_id = life.threads[0].hex
    assert life.now.threads[thread_id]["status"] == "interrupted"
    life.create(thread=0, strategy="enqueue", steps="s", durability="sync", later=True, slot=9)
    life.cancel(number=0, action="interrupt")
    assert life.now.threads[thread_id]["status"] == "interrupted"


def test_an_answer_to_a_nodes_first_question_does_not_reach_its_second(life: Life) -> None:
    ask(life, "d")
    answer(life)
    life.steps(number=0, finishes=True)
    shown = [question for *_, question in life.shown]
    assert shown == ["r1.0first", "r1.0second"]
    life.answer(number=1, plain=False, strategy="enqueue", slot=0)
    life.steps(number=0, finishes=True)


def test_a_requeued_run_that_another_one_supersedes_leaves_an_interrupted_thread_and_no_answered_question(
    life: Life,
) -> None:
    die_after_the_answer(life)
    life.start()
    life.create(thread=0, strategy="interrupt", steps="s", durability="sync", later=True, slot=9)
    life.cancel(number=0, action="interrupt")
    thread = life.now.threads[life.threads[0].hex]
    assert [run["status"] for run in life.now.runs.values()] == ["success", "interrupted", "interrupted"]
    assert thread["status"] == "interrupted"
    assert shows_what_it_asks(life)


@pytest.mark.parametrize(("fuse", "lands"), [(1, True), (2, False)])
def test_an_orphan_that_fails_between_a_steps_result_and_its_checkpoint_leaves_no_answered_question(
    life: Life, fuse: int, lands: bool
) -> None:
    ask(life, "a")
    life.converse(accident="crash", fuse=fuse, lands=lands, slot=0)
    life.reconcile(action="error")
    assert shows_what_it_asks(life)


@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_the_owner_of_a_deleted_run_writes_nothing_more(life: Life, durability: str) -> None:
    life.begin()
    life.create(thread=0, strategy="enqueue", steps="ss", durability=durability, later=False, slot=0)
    process, attempt = life.attempts(ended=False)[0]
    before = life.site.eyes.look()
    cancellation.delete(UUID(attempt.run_id), thread_id=life.threads[0])
    life.run(process.end(attempt))
    now = life.site.eyes.look()
    assert (before.checkpoints, before.writes) == (now.checkpoints, now.writes)
