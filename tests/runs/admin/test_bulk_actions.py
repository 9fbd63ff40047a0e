"""Bulk actions in the admin: their history, their progress, their refusals, and a stop."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.admin import bulk_actions
from runs.lifecycle.operators.bulk.handling import Step, advance, begin, handle_next
from runs.lifecycle.operators.operations import Operator
from runs.models import BulkAction, Run
from tests.support.admin_site import page, staff
from tests.support.rows import make_run, make_thread, make_worker

ADA = Operator("ada", "admin")
BULK = "/admin/runs/bulkaction/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return staff("view_run", "operate_run")


def begun(*runs: Run, kind: str = "cancel", **given: Any) -> BulkAction:
    rows = Run.objects.filter(id__in=[run.id for run in runs])
    return begin(kind, rows, ADA, **given)


def test_a_page_shows_the_progress_and_json_says_the_same(operator: Client) -> None:
    make_worker()
    bulk = begun(*(make_run() for _ in range(3)), reason="<b>", criterion="?status=pending&q=user%3Aada")
    assert handle_next(bulk.id) is Step.HANDLED
    html = operator.get(page(bulk)).content.decode()
    for shown in (
        "1 of 3 handled: 1 done.", "&lt;b&gt;", "status pending, search user:ada", "Running", 'value="1"',
        'href="/admin/runs/run/?status=pending&amp;q=user%3Aada"', "runs/js/bulk/main.js", "/stop/",
    ):  # fmt: skip
        assert shown in html, shown
    found = operator.get(f"{BULK}{bulk.pk}/progress/")
    assert found.json() == {
        "state": "running", "over": False, "total": 3, "handled": 1, "note": "",
        "sentence": "1 of 3 handled: 1 done.",
    }  # fmt: skip
    assert found["Cache-Control"].startswith("max-age=0")


def test_an_ended_action_lists_its_refusals_with_their_sentences(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_actions, "SHOWN", 2)
    ended = [make_run("error") for _ in range(3)]
    bulk = begun(make_run(), *ended)
    assert advance(bulk.id, seconds=30) is Step.OVER
    html = operator.get(page(bulk)).content.decode()
    assert "4 of 4 handled: 1 done, 3 refused." in html
    assert html.count("This cannot be done: the run has ended (error).") == 2
    assert page(ended[0]) in html
    assert "1 more is not shown" in html
    assert "bulk/main.js" not in html
    assert "/stop/" not in html


def test_a_stop_leaves_the_rest_and_is_on_record(operator: Client) -> None:
    first, second = make_run(), make_run()
    bulk = begun(first, second)
    assert handle_next(bulk.id) is Step.HANDLED
    assert operator.get(f"{BULK}{bulk.pk}/stop/").status_code == 405
    response = operator.post(f"{BULK}{bulk.pk}/stop/", follow=True)
    assert response.redirect_chain[-1][0] == page(bulk)
    assert "1 run was left alone." in response.content.decode()
    assert advance(bulk.id, seconds=30) is Step.OVER
    assert Run.objects.get(id=second.id).status == "pending"
    assert [each.change_message for each in LogEntry.objects.all()] == ["Stopped."]
    assert "Stopped." in operator.get(f"{BULK}{bulk.pk}/history/").content.decode()
    assert "It was over before." in operator.post(f"{BULK}{bulk.pk}/stop/", follow=True).content.decode()


def test_who_only_views_sees_it_and_cannot_stop_it() -> None:
    bulk = begun(make_run())
    viewer = staff("view_run")
    html = viewer.get(page(bulk)).content.decode()
    assert "you need the permission runs.operate_run" in html
    assert "<button" not in html.partition('id="bulk-progress"')[2].partition("</section>")[0]
    assert viewer.post(f"{BULK}{bulk.pk}/stop/").status_code == 403
    bulk.refresh_from_db()
    assert bulk.state == "confirmed"


def test_the_history_lists_all_of_them_newest_first(operator: Client) -> None:
    for each in range(2):
        bulk = begun(make_run(), reason=f"reason {each}", criterion="?p=2&columns=state" if each else "")
    advance(bulk.id, seconds=30)
    html = operator.get(BULK).content.decode()
    rows = html.partition("<tbody>")[2].split("<tr>")[1:]
    for shown in ("status-finished", "Cancel (interrupt)", "all runs", "reason 1", "ada"):
        assert shown in rows[0], shown
    for shown in ("status-confirmed", "a selection of 1", "reason 0"):
        assert shown in rows[1], shown
    assert operator.get(f"{BULK}?q=ada").context["cl"].result_count == 2
    assert operator.get(f"{BULK}?q=grace").context["cl"].result_count == 0


def test_it_says_why_it_does_not_proceed(operator: Client, run_settings: Any) -> None:
    run_settings(USER_QUEUE=1)
    thread = make_thread()
    make_run(thread=make_thread(user=thread.user))
    bulk = begun(make_run("error", thread=thread), kind="retry")
    assert operator.get(f"{BULK}{bulk.pk}/progress/").json()["note"] == bulk_actions.NOBODY
    assert advance(bulk.id, seconds=30) is Step.WAITS
    assert "are at a limit" in operator.get(f"{BULK}{bulk.pk}/progress/").json()["note"]


@pytest.mark.parametrize("wrong", ["x", "0193f5a2-0000-7000-8000-000000000000", "'; --"])
def test_an_unknown_one_is_no_page(operator: Client, wrong: str) -> None:
    for part in ("change", "progress", "stop"):
        for response in (operator.get(f"{BULK}{wrong}/{part}/"), operator.post(f"{BULK}{wrong}/{part}/")):
            assert response.status_code in (302, 404, 405), part
            assert "progress" not in response.content.decode()


def test_its_page_takes_as_many_statements_for_many_refusals_as_for_few(operator: Client) -> None:
    counts = []
    for runs in (2, 40):
        bulk = begun(*(make_run("error") for _ in range(runs)))
        assert advance(bulk.id, seconds=30) is Step.OVER
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(page(bulk)).status_code == 200
        counts.append(len(queries))
    assert counts[1] <= counts[0] <= 8
