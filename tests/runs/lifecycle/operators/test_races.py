"""Operators who act at once, or twice: one of them acts, and the others are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from runs.events.table import Part
from runs.exceptions import RunsError
from runs.identity.principals import Principal
from runs.lifecycle import settlement
from runs.lifecycle.admission import admit
from runs.lifecycle.operators import operations
from runs.lifecycle.operators.operations import Refused, Repeated
from runs.lifecycle.outcomes import Ending, Outcome
from runs.models import Run, RunAction
from runs.requests.run import RunRequest
from tests.runs.admin.test_run_page import act
from tests.runs.lifecycle.operators.test_operations import ADA
from tests.support.admin_site import sign_in
from tests.support.retention import closing_connection
from tests.support.rows import make_run, make_thread
from threads.db import clock
from threads.models import Thread

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_settings")]
QUESTION = "0" * 32


def together(*calls: Callable[[], Any]) -> list[Any]:
    """The results of calls that begin at once, each on a connection of its own; or their refusals."""
    begin = threading.Barrier(len(calls))

    def call(function: Callable[[], Any]) -> Any:
        connection.ensure_connection()
        begin.wait(10)
        try:
            return function()
        except RunsError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda each: closing_connection(call, each), calls))


def end(run: Run) -> None:
    Run.objects.filter(id=run.id).update(status="success", finished_at=clock.now(), attempt=1, epoch=9)


def test_a_retry_that_is_sent_again_is_the_same_run() -> None:
    run, client = make_run("error", thread=make_thread(status="error")), sign_in(is_superuser=True)
    first = act(client, run, action="retry", request="r1").json()
    end(Run.objects.get(id=first["run"]))
    assert act(client, run, action="retry", request="r1").json() == first
    assert Run.objects.count() == 2
    other = act(client, run, action="retry", request="r2").json()
    assert other["run"] != first["run"]
    assert act(client, run, action="retry", request=7).status_code == 400


def test_of_two_retries_at_once_with_one_request_one_makes_a_run() -> None:
    run, by = make_run("error", thread=make_thread(status="error")), replace(ADA, request="r1")
    found = together(*[lambda: operations.retry(run.id, by)] * 2)
    (new,) = [each for each in found if isinstance(each, Run)]
    (repeated,) = [each for each in found if isinstance(each, Repeated)]
    assert repeated.run_id == new.id
    assert RunAction.objects.filter(run_id=run.id).count() == 1


def test_of_two_answers_at_once_one_is_given() -> None:
    interrupts = {"task": [{"id": QUESTION, "value": "Fine?"}]}
    run = make_run("success", thread=make_thread(status="interrupted", interrupts=interrupts))
    found = together(
        lambda: operations.answer(run.id, ADA, {QUESTION: "yes"}),
        lambda: operations.answer(run.id, ADA, {QUESTION: "no"}),
    )
    (new,) = [each for each in found if isinstance(each, Run)]
    (refused,) = [each for each in found if isinstance(each, Refused)]
    assert "another run of its thread is in flight" in str(refused)
    record = RunAction.objects.get(run_id=run.id)
    assert record.detail["run"] == str(new.id)
    assert Run.objects.count() == 2


def test_a_fork_and_a_users_message_at_once_come_one_after_the_other() -> None:
    run = make_run("success", thread=make_thread(status="idle"))
    place = {"checkpoint_id": "1f0e3dad-9990-6834-8001-000000000000"}
    message = RunRequest(assistant_id=str(run.assistant_id), input={"log": ["hi"]})
    forked, said = together(
        lambda: operations.fork(run.id, ADA, place),
        lambda: admit(message, principal=Principal(run.user_id), thread_id=run.thread_id).run,
    )
    assert isinstance(said, Run), said
    if isinstance(forked, Run):
        assert Run.objects.filter(thread=run.thread_id, status="pending").count() == 2
    else:
        assert isinstance(forked, Refused)
        assert not RunAction.objects.exists()
    assert Thread.objects.get(id=run.thread_id).status == "busy"


def test_a_cancel_beside_the_runs_end_is_recorded_or_refused() -> None:
    run = make_run("running", thread=make_thread(status="busy", epoch=1))
    outcome = Outcome(Ending.SUCCESS)
    ended = settlement.Ended(run, outcome, Part(run.id, run.thread_id, run.epoch, []), 0)
    cancelled, settled = together(
        lambda: operations.cancel(run.id, ADA, reason="stop"), lambda: settlement.settle(ended)
    )
    assert settled is False
    run.refresh_from_db()
    assert run.status == "success"
    recorded = list(RunAction.objects.values_list("kind", "outcome"))
    if isinstance(cancelled, Refused):
        assert not recorded
    else:
        assert recorded == [("cancel", "asked to stop")]
    assert Thread.objects.get(id=run.thread_id).status == "idle"
