"""What operators do with runs: the outcome, the record, and the refusals."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from runs.conf import settings
from runs.exceptions import InvalidRequest, NotFound
from runs.lifecycle.operators import operations
from runs.lifecycle.operators.offers import ACTIONS, Standing, offers
from runs.lifecycle.operators.operations import Operator, Refused
from runs.models import Attempt, Run, RunAction
from tests.support.driving import Driver
from tests.support.rows import make_run, make_thread, make_user
from threads.checkpoints.opening import open_pruning
from threads.db.database import in_database

ADA = Operator("ada", "command")


def records(run: Any) -> list[tuple[str, str, str, str]]:
    rows = RunAction.objects.filter(run_id=run.id).order_by("id")
    return list(rows.values_list("kind", "who", "reason", "outcome"))


def attempts(run: Any) -> list[tuple[int, str]]:
    return list(Attempt.objects.filter(run_id=run.id).order_by("number").values_list("number", "reason"))


async def test_a_cancelled_run_has_the_reason_on_record(driver: Driver) -> None:
    run = await driver.start("steps", {"log": [], "delay": 5.0})
    await driver.executing(run, "s0")
    outcome = await in_database(operations.cancel, run.id, ADA, reason=" the price was wrong ")
    assert outcome == "asked to stop"
    row = await driver.finish(run)
    assert row.status == "interrupted"
    assert await in_database(records, run) == [("cancel", "ada", "the price was wrong", "asked to stop")]
    assert await in_database(attempts, run) == [(1, "interrupted")]
    with pytest.raises(Refused, match="the run has ended"):
        await in_database(operations.cancel, run.id, ADA)


async def test_a_retry_repeats_the_run_from_its_beginning(driver: Driver) -> None:
    run = await driver.start("steps", {"log": ["given"]}, metadata={"ticket": "T-17"})
    await driver.finish(run)
    again = await in_database(operations.retry, run.id, ADA, reason="flaky")
    row = await driver.finish(again)
    assert row.status == "success"
    assert row.parent_id == run.id
    assert row.metadata["ticket"] == "T-17"
    # The input is there once, and every step once.
    assert row.thread.values["log"] == ["given", *(f"s{number}" for number in range(10))]
    assert sum(driver.executions(again).values()) == 10
    assert [each[0] for each in await in_database(records, run)] == ["retry"]
    assert (await in_database(records, again))[0][3] == f"from run {run.id}"


async def test_a_retry_gives_the_input_again_if_no_checkpoint_was_stored(driver: Driver) -> None:
    """As after a full disk: the log names the first checkpoint, which could not be written."""
    run = await driver.start("failing", {"log": ["given"]})
    await driver.finish(run)
    pruning = open_pruning(file=settings.CHECKPOINTS_FILE)
    await in_database(pruning.delete, [run.thread_id], limit=1000)
    again = await in_database(operations.retry, run.id, ADA)
    row = await driver.finish(again)
    assert row.error["error"] == "ValueError"
    assert sorted(driver.executions(again)) == ["before", "boom"]
    assert row.thread.values["log"] == ["given", "before"]


async def test_a_fork_continues_from_a_checkpoint(driver: Driver) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)
    points = [each for each in await in_database(checkpoints, run) if each["step"] == 7]
    forked = await in_database(operations.fork, run.id, ADA, {"checkpoint_id": points[0]["id"]})
    row = await driver.finish(forked)
    assert row.status == "success"
    assert sorted(driver.executions(forked)) == ["s7", "s8", "s9"]


def checkpoints(run: Run) -> list[dict[str, Any]]:
    from runs.encoding import decode
    from runs.events import table
    from runs.protocols.agent.items import PACK

    found = []
    for event in table.read(run.id, table.START):
        if event.name == PACK:
            found += [item for mode, _, _, item in decode(event.data) if mode == "checkpoints"]
    return found


async def test_an_operator_answers_a_question(driver: Driver) -> None:
    run = await driver.start("asking", {"log": []})
    row = await driver.finish(run)
    (interrupt,) = [each for asked in row.thread.interrupts.values() for each in asked]
    with pytest.raises(Refused, match=interrupt["id"]):
        await in_database(operations.answer, run.id, ADA, {"other": 1})
    answered = await in_database(operations.answer, run.id, ADA, {interrupt["id"]: "yes"}, reason="phoned")
    done = await driver.finish(answered)
    assert done.status == "success"
    assert done.parent_id == run.id
    assert not done.thread.interrupts
    again = await in_database(operations.retry, answered.id, ADA)
    repeated = await driver.finish(again)
    assert repeated.status == "success"
    assert repeated.thread.values == done.thread.values


async def test_a_requeued_run_goes_on_without_a_charged_attempt(driver: Driver) -> None:
    run = await driver.start("steps", {"log": [], "delay": 0.05})
    await driver.executing(run, "s1")
    await in_database(operations.requeue, run.id, ADA, reason="move it")
    row = await driver.finish(run)
    assert row.status == "success"
    assert row.attempt == 2
    assert row.lost_attempts == 0
    assert row.requeue_requested_at is None
    assert set(driver.executions(run).values()) == {1}
    assert await in_database(attempts, run) == [(1, "requeued"), (2, "success")]


@pytest.mark.django_db
def test_a_pending_run_changes_its_place(run_settings: Any) -> None:
    run = make_run("pending")
    operations.set_priority(run.id, ADA, 7, reason="paying")
    run.refresh_from_db()
    assert run.priority == 7
    assert records(run) == [("priority", "ada", "paying", "priority 0 became 7")]
    with pytest.raises(InvalidRequest):
        operations.set_priority(run.id, ADA, 40_000)
    with pytest.raises(NotFound):
        operations.set_priority(uuid4(), ADA, 1)


@pytest.mark.django_db
def test_a_person_who_leaves_keeps_the_name_on_record() -> None:
    run, person = make_run("pending"), make_user()
    operations.set_priority(run.id, Operator("grace", "admin", person.pk), 1)
    person.delete()
    assert records(run)[0][1] == "grace"


@pytest.mark.django_db
def test_records_and_attempts_go_with_their_run() -> None:
    run = make_run("running")
    RunAction.objects.create(
        run=run, kind="cancel", who="x", origin="api", outcome="", created_at=run.created_at
    )
    assert attempts(run) == [(1, "")]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM runs_run")
    assert not attempts(run)
    assert not records(run)


@pytest.mark.django_db
def test_the_user_cannot_be_told_why_when_the_thread_is_busy() -> None:
    thread = make_thread(status="busy")
    run = make_run("error", thread=thread)
    make_run("pending", thread=thread)
    with pytest.raises(Refused, match="another run of its thread"):
        operations.retry(run.id, ADA)
    assert not records(run)


@pytest.mark.parametrize("status", ["pending", "running", "success", "error", "timeout", "interrupted"])
def test_each_action_is_offered_or_says_why_not(status: str) -> None:
    found = offers(Standing(status))
    assert set(found) == set(ACTIONS)
    ended = status not in ("pending", "running")
    assert (found["cancel"] == "") is not ended
    assert (found["retry"] == "") is ended
    assert (found["requeue"] == "") is (status == "running")
    assert (found["priority"] == "") is (status == "pending")
    assert found["answer"]
    assert not offers(Standing(status, asked=True))["answer"] or not ended
    assert all(offers(Standing(status, thread_gone=True))[name] for name in ("retry", "fork", "answer"))
