"""The actions of the admin's list of runs: estimate, confirmation, and what follows."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.admin import actions as admin_actions
from runs.lifecycle.operators.bulk import estimating
from runs.models import BulkAction, Run, RunAction
from tests.support.admin_site import page, sign_in, staff
from tests.support.driving import Driver
from tests.support.rows import make_run, make_thread, orphan
from threads.admin import base as threads_admin
from threads.db.database import in_database
from threads.db.ids import new_id

RUNS = "/admin/runs/run/"
VIEW = ("view_run", "view_thread", "view_worker", "view_assistant")


@pytest.fixture
def operator(db: None) -> Client:
    return staff(*VIEW, "operate_run")


def chosen(action: str, *runs: Run, **more: Any) -> dict[str, Any]:
    return {"action": action, "_selected_action": [str(run.pk) for run in runs], **more}


def asked(client: Client, action: str, *runs: Run, query: str = "", **more: Any) -> str:
    """The page that asks for confirmation."""
    response = client.post(RUNS + query, chosen(action, *runs, **more))
    assert response.status_code == 200
    return response.content.decode()


def confirmed(
    client: Client, action: str, *runs: Run, query: str = "", reason: str = "a bad deploy", **more: Any
) -> BulkAction:
    """The bulk action that a person confirms."""
    html = asked(client, action, *runs, query=query, **more)
    until = re.search(r'name="until" value="([0-9a-f-]{36})"', html)
    assert until is not None
    data = chosen(action, *runs, confirmed="yes", until=until[1], reason=reason, **more)
    response = client.post(RUNS + query, data, follow=True)
    bulk = BulkAction.objects.latest("id")
    assert response.redirect_chain[-1][0] == page(bulk)
    assert response.status_code == 200
    return bulk


def messages_of(client: Client, action: str, *runs: Run) -> list[str]:
    response = client.post(RUNS, chosen(action, *runs), follow=True)
    return [str(message) for message in response.context["messages"]]


def test_a_selection_is_confirmed_first_and_few_runs_are_done_at_once(operator: Client) -> None:
    pending, running, done = make_run(), make_run("running"), make_run("success")
    html = asked(operator, "cancel_runs", pending, running, done)
    assert "3 runs will be stopped; their checkpoints are kept." in html
    assert "1 of them cannot be cancelled because it has ended." in html
    assert all(page(run) in html for run in (pending, running, done))
    assert not BulkAction.objects.exists()
    bulk = confirmed(operator, "cancel_runs", pending, running, done)
    assert (bulk.state, bulk.total, bulk.done, bulk.refused) == ("finished", 3, 2, 1)
    assert (bulk.criterion, bulk.reason) == ("", "a bad deploy")
    statuses = dict(Run.objects.values_list("id", "status"))
    assert statuses == {pending.id: "interrupted", running.id: "running", done.id: "success"}
    assert Run.objects.get(id=running.id).cancel_action == "interrupt"
    record = RunAction.objects.get(run=running.id)
    assert (record.kind, record.origin, record.reason) == ("cancel", "admin", "a bad deploy")
    assert record.user_id == int(operator.session["_auth_user_id"])
    assert [each.change_message for each in LogEntry.objects.all()] == ["Confirmed. a bad deploy"]


def test_everything_that_matches_is_taken_and_nothing_else(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads_admin, "COUNTED", 2)
    failed = [make_run("error", thread=make_thread()) for _ in range(4)]
    make_run("success", thread=make_thread())
    listed = operator.get(f"{RUNS}?status=error").content.decode()
    assert "Select all runs that match<" in listed
    query = "?status=error&q=status:error"
    html = asked(operator, "retry_runs", failed[0], query=query, select_across="1")
    assert "4 runs will be repeated as new runs" in html
    bulk = confirmed(operator, "retry_runs", failed[0], query=query, select_across="1")
    assert (bulk.total, bulk.done) == (4, 4)
    assert bulk.criterion == "?status=error&q=status%3Aerror"
    parents = Run.objects.exclude(parent=None).values_list("parent_id", flat=True)
    assert sorted(parents) == sorted(run.id for run in failed)


def test_what_the_search_says_is_said_once(operator: Client) -> None:
    run = make_run(queue="gpu")
    html = asked(operator, "cancel_runs", run, query="?q=queue:gpu", select_across="1")
    assert html.count("Searched among the newest 100,000 runs.") == 1
    bulk = confirmed(operator, "cancel_runs", run, query="?q=queue:gpu", select_across="1")
    assert "Searched among" not in operator.get(page(bulk)).content.decode()
    response = operator.post(f"{RUNS}?q=stat:x", chosen("cancel_runs", run, select_across="1"), follow=True)
    texts = [str(message) for message in response.context["messages"]]
    assert texts[0] == "No run matches."
    assert [text.partition(".")[0] for text in texts[1:]] == ["There is no qualifier 'stat'"]


def test_runs_that_began_to_match_after_the_question_are_left_alone(operator: Client) -> None:
    run, until = make_run(), new_id()
    later = make_run()
    data = chosen("cancel_runs", run, confirmed="yes", until=until, reason="x", select_across="1")
    operator.post(RUNS, data)
    assert Run.objects.get(id=run.id).status == "interrupted"
    assert Run.objects.get(id=later.id).status == "pending"


def test_a_confirmation_that_is_sent_twice_begins_one_action(operator: Client) -> None:
    run = make_run("error", error={"error": "E", "message": "m"})
    until = re.search(r'name="until" value="([^"]+)"', asked(operator, "cancel_runs", make_run("pending")))
    assert until is not None
    other = make_run("pending", id=uuid.UUID(int=uuid.UUID(until[1]).int - 1))
    data = chosen("cancel_runs", other, run, confirmed="yes", until=until[1], reason="twice")
    first, second = (operator.post(RUNS, data) for _ in range(2))
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"]
    [bulk] = BulkAction.objects.all()
    assert (bulk.total, bulk.done, bulk.refused) == (2, 1, 1)
    assert LogEntry.objects.filter(object_id=str(bulk.id)).count() == 1
    changed = operator.post(RUNS, {**data, "reason": "another"})
    assert "was confirmed before, with other values" in changed.content.decode()
    assert BulkAction.objects.count() == 1


def test_a_large_estimate_is_bounded(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "COUNTED", 3)
    runs = [make_run("error") for _ in range(4)] + [make_run()]
    html = asked(operator, "cancel_runs", runs[0], select_across="1")
    assert "More than 3 runs will be stopped" in html
    with CaptureQueriesContext(connection) as queries:
        estimating.estimate("cancel", Run.objects.all())
    assert len(queries) == 1


def test_what_can_be_done_with_none_of_the_runs_is_said_at_once(operator: Client) -> None:
    ended = make_run("success")
    assert messages_of(operator, "cancel_runs", ended) == [
        "This run cannot be cancelled because it has ended."
    ]
    assert messages_of(operator, "roll_back_runs", ended, make_run("error")) == [
        "These 2 runs cannot be cancelled because they have ended."
    ]
    assert messages_of(operator, "retry_runs", make_run()) == [
        "This run cannot be retried because it has not ended."
    ]
    assert messages_of(operator, "reconcile_runs", ended) == [
        "This run cannot be reconciled because it is not running."
    ]
    assert not BulkAction.objects.exists()


def test_a_roll_back_says_what_it_removes(operator: Client) -> None:
    pending, running = make_run(), make_run("running")
    html = asked(operator, "roll_back_runs", pending, running)
    assert "This cannot be undone" in html
    assert Run.objects.filter(cancel_action="").count() == 2
    bulk = confirmed(operator, "roll_back_runs", pending, running)
    assert bulk.done == 2
    assert not Run.objects.filter(id=pending.id).exists()
    assert Run.objects.get(id=running.id).cancel_action == "rollback"


def test_a_priority_is_asked_for_and_checked(operator: Client) -> None:
    run = make_run()
    data = chosen("set_priority", run, confirmed="yes", until=new_id(), reason="x")
    for priority, said in (
        ("", "must be a whole number"),
        ("40000", "less than or equal to 32767"),
        ("1.5", "Enter a whole number"),
    ):
        assert said in operator.post(RUNS, {**data, "priority": priority}).content.decode()
    assert not BulkAction.objects.exists()
    operator.post(RUNS, {**data, "priority": "7"})
    assert Run.objects.get(id=run.id).priority == 7


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"reason": ""}, "This field is required"),
        ({"reason": "  "}, "This field is required"),
        ({"reason": "x" * 2001}, "at most 2000 characters"),
        ({"until": ""}, "This page is not complete"),
        ({"until": "'; --"}, "This page is not complete"),
        ({"until": str(uuid4()).replace("-", "")[:5]}, "This page is not complete"),
    ],
)
def test_a_wrong_confirmation_begins_nothing(operator: Client, wrong: dict[str, str], said: str) -> None:
    run = make_run()
    data = chosen("cancel_runs", run, confirmed="yes", until=str(new_id()), reason="why")
    response = operator.post(RUNS, {**data, **wrong})
    assert response.status_code == 200
    assert said in response.content.decode()
    assert not BulkAction.objects.exists()
    assert Run.objects.get(id=run.id).status == "pending"


def test_a_run_that_was_deleted_before_the_confirmation(operator: Client) -> None:
    run = make_run()
    data = chosen("cancel_runs", run, confirmed="yes", until=new_id(), reason="why")
    Run.objects.filter(id=run.id).delete()
    assert "No run matches" in operator.post(RUNS, data).content.decode()
    assert not BulkAction.objects.exists()


def test_what_is_no_id_selects_nothing(operator: Client) -> None:
    make_run()
    for wrong in ("x", "0" * 33, "\x00"):
        data = {"action": "cancel_runs", "_selected_action": [wrong]}
        response = operator.post(RUNS, data, follow=True)
        (message,) = response.context["messages"]
        assert str(message) == "Something is selected that is not of this list."
    assert not BulkAction.objects.exists()


def test_only_operators_act(db: None) -> None:
    run = make_run("running")
    viewer = staff(*VIEW)
    for action in admin_actions.NAMES:
        data = chosen(action, run, confirmed="yes", until=new_id(), reason="why", priority="1")
        viewer.post(RUNS, data)
    assert not BulkAction.objects.exists()
    row = Run.objects.get()
    assert (row.status, row.cancel_action, row.requeue_requested_at) == ("running", "", None)


def test_operators_have_the_actions_on_the_list_and_on_a_run_s_page(operator: Client) -> None:
    running, pending, done = make_run("running"), make_run(), make_run("success")
    for url, expected in (
        (RUNS, set(admin_actions.NAMES)),
        (page(running), {"cancel_runs", "roll_back_runs", "requeue_runs", "reconcile_runs"}),
        (page(pending), {"cancel_runs", "roll_back_runs", "set_priority"}),
        (page(done), {"retry_runs"}),
    ):
        html = operator.get(url).content.decode()
        assert {name for name in admin_actions.NAMES if f'value="{name}"' in html} == expected, url


def test_the_buttons_of_a_run_s_page_do_what_the_list_s_actions_do(operator: Client) -> None:
    run = make_run()
    html = operator.get(page(run)).content.decode()
    assert f'action="{RUNS}?q={run.pk}"' in html
    confirmed(operator, "cancel_runs", run, query=f"?q={run.pk}")
    assert Run.objects.get().status == "interrupted"


def test_reconcile_resumes_orphans_and_touches_only_the_selected_runs(operator: Client) -> None:
    chosen_one, other = orphan(), orphan()
    bulk = confirmed(operator, "reconcile_runs", chosen_one)
    assert (bulk.done, bulk.refused) == (1, 0)
    assert Run.objects.get(id=chosen_one.id).status == "pending"
    assert Run.objects.get(id=other.id).status == "running"


def test_an_action_that_the_request_cannot_begin_is_left_to_a_worker(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_actions, "advance", _is_locked)
    bulk = confirmed(operator, "cancel_runs", make_run())
    assert (bulk.state, bulk.total, bulk.handled) == ("confirmed", 1, 0)


def _is_locked(*given: Any, **named: Any) -> None:
    raise OperationalError("database is locked")


@pytest.mark.django_db(transaction=True)
def test_the_pages_take_as_many_statements_for_many_runs_as_for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    root = sign_in(is_superuser=True)
    monkeypatch.setattr(admin_actions, "AT_ONCE", 0.0)
    counts = []
    for rows in (3, 30):
        runs = [make_run() for _ in range(rows)]
        with CaptureQueriesContext(connection) as asking:
            asked(root, "cancel_runs", *runs)
        with CaptureQueriesContext(connection) as beginning:
            bulk = confirmed(root, "cancel_runs", *runs)
        assert bulk.handled == 1
        counts.append((len(asking), len(beginning)))
    assert counts[1][0] <= counts[0][0] <= 8, counts
    assert counts[1][1] <= counts[0][1] <= 60, counts


@pytest.fixture
def slow_polls(run_settings: Any) -> None:
    """Without a wake-up, polls come much too late."""
    run_settings(POLL=60)


async def test_a_cancel_in_the_admin_reaches_the_executing_run_at_once(
    slow_polls: None, driver: Driver
) -> None:
    run = await driver.start("sleeping", {"log": [], "delay": 60.0})
    await driver.executing(run, "sleep")
    client = await in_database(staff, *VIEW, "operate_run")
    await in_database(confirmed, client, "cancel_runs", run)
    async with asyncio.timeout(5):
        row = await driver.until(run, "interrupted")
    assert row.cancel_action == "interrupt"
