"""The progress of bulk actions: outcomes, records, refusals, deaths in between, and stops."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext

from runs.exceptions import InvalidRequest
from runs.lifecycle.operators import operations
from runs.lifecycle.operators.bulk import handling, kinds
from runs.lifecycle.operators.bulk.handling import Step, advance, begin, handle_next, stop
from runs.lifecycle.operators.operations import Operator
from runs.models import BulkAction, BulkTarget, Run, RunAction
from tests.support.rows import make_run, make_thread, make_user, orphan

ADA = Operator("ada", "admin")


def act(kind: str, *runs: Run, by: Operator = ADA, **given: Any) -> BulkAction:
    """A bulk action on these runs, handled to its end."""
    bulk = begin(kind, Run.objects.filter(id__in=[run.id for run in runs]), by, **given)
    assert advance(bulk.id, seconds=30) is Step.OVER
    bulk.refresh_from_db()
    return bulk


def counts(bulk: BulkAction) -> tuple[int, int, int, int]:
    bulk.refresh_from_db()
    return bulk.total, bulk.done, bulk.refused, bulk.failed


def refusals(bulk: BulkAction) -> dict[UUID, str]:
    return dict(BulkTarget.objects.filter(bulk=bulk).values_list("run_id", "refusal"))


def children() -> Counter[UUID | None]:
    return Counter(Run.objects.exclude(parent=None).values_list("parent_id", flat=True))


@pytest.mark.django_db
def test_each_run_is_cancelled_on_record_and_refusals_say_why() -> None:
    person = make_user()
    by = Operator("ada", "admin", person.pk)
    pending, running, ended = make_run(), make_run("running"), make_run("error")
    bulk = act("cancel", pending, running, ended, by=by, reason=" a bad deploy ", criterion="status=error")
    assert counts(bulk) == (3, 2, 1, 0)
    assert (bulk.state, bulk.reason, bulk.criterion) == ("finished", "a bad deploy", "status=error")
    assert refusals(bulk) == {ended.id: "This cannot be done: the run has ended (error)."}
    assert Run.objects.get(id=pending.id).status == "interrupted"
    assert Run.objects.get(id=running.id).cancel_action == "interrupt"
    fields = ("kind", "who", "user", "origin", "reason", "outcome", "detail")
    outcomes = {pending.id: "cancelled before it was executing", running.id: "asked to stop"}
    for run_id, outcome in outcomes.items():
        expected = (
            "cancel",
            "ada",
            person.pk,
            "admin",
            "a bad deploy",
            outcome,
            {"bulk": str(bulk.id)},
        )
        assert list(RunAction.objects.filter(run=run_id).values_list(*fields)) == [expected]
    assert not RunAction.objects.filter(run=ended.id).exists()


@pytest.mark.django_db
def test_the_other_actions_do_what_they_do_with_one_run() -> None:
    gone, kept = make_run(), make_run("running")
    assert counts(act("roll_back", gone, kept)) == (2, 2, 0, 0)
    assert not Run.objects.filter(id=gone.id).exists()
    assert Run.objects.get(id=kept.id).cancel_action == "rollback"
    failed = make_run("error", thread=make_thread())
    assert counts(act("retry", failed)) == (1, 1, 0, 0)
    assert children() == {failed.id: 1}
    moved, begun = make_run(), make_run("running")
    bulk = act("priority", moved, begun, priority=9)
    assert counts(bulk) == (2, 1, 1, 0)
    assert Run.objects.get(id=moved.id).priority == 9
    assert counts(act("requeue", begun)) == (1, 1, 0, 0)
    assert Run.objects.get(id=begun.id).requeue_requested_at is not None
    lost = orphan()
    assert counts(act("reconcile", lost, moved)) == (2, 1, 1, 0)
    assert Run.objects.get(id=lost.id).status == "pending"
    assert [each.kind for each in RunAction.objects.filter(run=lost.id)] == ["reconcile"]


@pytest.mark.django_db
def test_runs_that_were_created_after_the_question_are_not_touched() -> None:
    asked = make_run("error", thread=make_thread())
    later = make_run("error", thread=make_thread())
    bulk = begin("retry", Run.objects.all(), ADA, until=asked.id)
    new = make_run("error", thread=make_thread())
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert children() == {asked.id: 1}
    assert not Run.objects.filter(parent__in=[later.id, new.id]).exists()


@pytest.mark.django_db
def test_a_run_that_was_deleted_in_between_is_refused() -> None:
    person = make_user()
    gone, stays = make_run("error", thread=make_thread(user=person)), make_run("error", thread=make_thread())
    bulk = begin("retry", Run.objects.all(), ADA)
    Run.objects.filter(user=person).delete()
    person.delete()
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (2, 1, 1, 0)
    assert refusals(bulk) == {gone.id: f"Run {gone.id} not found"}
    assert children() == {stays.id: 1}


@pytest.mark.django_db
def test_the_person_who_began_it_may_be_deleted_in_between() -> None:
    person = make_user()
    run = make_run()
    bulk = begin("cancel", Run.objects.filter(id=run.id), Operator("grace", "admin", person.pk))
    person.delete()
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (1, 1, 0, 0)
    assert list(RunAction.objects.values_list("who", "user")) == [("grace", None)]


class Death(BaseException):
    """The end of the process."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("moment", ["before the action", "after the action", "before the commit"])
def test_another_process_continues_after_a_death_and_no_run_is_doubled(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run("error", thread=make_thread()) for _ in range(5)]
    bulk = begin("retry", Run.objects.all(), ADA)
    assert handle_next(bulk.id) is Step.HANDLED
    with monkeypatch.context() as dying:
        if moment == "before the commit":
            dying.setattr(handling, "F", _dies)
        else:
            dying.setattr(operations, "retry", _dying(operations.retry, moment))
        with pytest.raises(Death):
            advance(bulk.id, seconds=30)
    assert counts(bulk) == (5, 1, 0, 0)
    assert sum(children().values()) == 1
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (5, 5, 0, 0)
    assert children() == {run.id: 1 for run in runs}


def _dies(*given: Any) -> Any:
    raise Death


def _dying(retry: Any, moment: str) -> Any:
    def act(*given: Any, **named: Any) -> None:
        if moment == "after the action":
            retry(*given, **named)
        raise Death

    return act


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_one_process_at_a_time_works_on_it() -> None:
    for _ in range(2):
        make_run()
    bulk = begin("cancel", Run.objects.all(), ADA)
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM runs_bulkaction WHERE id = %s FOR UPDATE", [bulk.id])
        assert advance(bulk.id, seconds=30) is Step.HELD
        assert counts(bulk) == (2, 0, 0, 0)
        other.rollback()
    finally:
        other.close()
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (2, 2, 0, 0)


@pytest.mark.django_db
def test_a_stopped_action_leaves_the_rest_alone() -> None:
    runs = [make_run() for _ in range(3)]
    bulk = begin("cancel", Run.objects.all(), ADA)
    assert handle_next(bulk.id) is Step.HANDLED
    assert stop(bulk.id)
    assert not stop(bulk.id)
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (3, 1, 0, 0)
    assert bulk.state == "stopped"
    assert [Run.objects.get(id=run.id).status for run in runs] == ["interrupted", "pending", "pending"]
    assert not BulkTarget.objects.exists()


@pytest.mark.django_db
def test_an_unexpected_error_of_one_run_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison, sound = make_run(), make_run()
    cancel = operations.cancel

    def act_on(run_id: UUID, *given: Any, **named: Any) -> Any:
        if run_id == poison.id:
            raise KeyError("what a person wrote")
        return cancel(run_id, *given, **named)

    monkeypatch.setattr(operations, "cancel", act_on)
    bulk = act("cancel", poison, sound)
    assert counts(bulk) == (2, 1, 0, 1)
    assert refusals(bulk) == {poison.id: "KeyError: the server's log has the rest."}
    assert str(poison.id) in caplog.text


@pytest.mark.django_db
def test_an_error_of_the_database_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run()
    bulk = begin("cancel", Run.objects.filter(id=run.id), ADA)
    with monkeypatch.context() as broken:
        broken.setattr(operations, "cancel", _is_locked)
        with pytest.raises(OperationalError):
            advance(bulk.id, seconds=30)
    assert counts(bulk) == (1, 0, 0, 0)
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (1, 1, 0, 0)


def _is_locked(*given: Any, **named: Any) -> None:
    raise OperationalError("database is locked")


@pytest.mark.django_db
def test_retries_wait_while_their_user_has_too_many_pending_runs(run_settings: Any) -> None:
    run_settings(USER_QUEUE=1)
    person = make_user()
    for _ in range(2):
        make_run("error", thread=make_thread(user=person))
    bulk = begin("retry", Run.objects.all(), ADA)
    assert advance(bulk.id, seconds=30) is Step.WAITS
    assert counts(bulk) == (2, 1, 0, 0)
    assert "wait already" in bulk.waits_because
    Run.objects.filter(status="pending").update(status="success")
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (2, 2, 0, 0)
    assert bulk.waits_because == ""


@pytest.mark.django_db
def test_the_limit_of_one_user_does_not_keep_the_runs_of_others(run_settings: Any) -> None:
    run_settings(USER_QUEUE=1)
    person = make_user()
    for _ in range(3):
        make_run("error", thread=make_thread(user=person))
    for _ in range(2):
        make_run("error", thread=make_thread(user=make_user()))
    bulk = begin("retry", Run.objects.all(), ADA)
    for done in (3, 4):
        assert advance(bulk.id, seconds=30) is Step.WAITS
        assert counts(bulk) == (5, done, 0, 0)
        assert "wait already" in bulk.waits_because
        Run.objects.filter(status="pending").update(status="success")
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert counts(bulk) == (5, 5, 0, 0)
    assert Run.objects.exclude(parent=None).count() == 5


@pytest.mark.django_db
def test_a_bounded_number_of_refusals_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handling, "KEPT", 2)
    bulk = act("cancel", *(make_run("success") for _ in range(4)))
    assert counts(bulk) == (4, 0, 4, 0)
    assert len(refusals(bulk)) == 2


@pytest.mark.django_db
def test_what_is_not_valid_begins_nothing() -> None:
    run = make_run()
    rows = Run.objects.filter(id=run.id)
    for kind, given in (
        ("explode", {}),
        ("priority", {}),
        ("priority", {"priority": True}),
        ("priority", {"priority": 40_000}),
        ("cancel", {"reason": "x" * 2001}),
    ):
        with pytest.raises(InvalidRequest):
            begin(kind, rows, ADA, **given)  # type: ignore[arg-type]
    for nothing in (rows.none(), rows.filter(status="error")):
        with pytest.raises(InvalidRequest, match="No run matches"):
            begin("cancel", nothing, ADA)
    assert not BulkAction.objects.exists()
    assert set(kinds.KINDS) == set(kinds.BulkKind.values)


@pytest.mark.django_db
def test_the_number_of_statements_does_not_depend_on_the_number_of_runs() -> None:
    counted = []
    for runs in (3, 30):
        made = [make_run() for _ in range(runs)]
        with CaptureQueriesContext(connection) as beginning:
            bulk = begin("cancel", Run.objects.filter(id__in=[run.id for run in made]), ADA)
        with CaptureQueriesContext(connection) as one:
            assert handle_next(bulk.id) is Step.HANDLED
        counted.append((len(beginning), len(one)))
    assert counted[0] == counted[1]
    assert counted[0][0] <= 6
    assert counted[0][1] <= 24, [query["sql"] for query in one]
