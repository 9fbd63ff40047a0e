"""The list's rows as they are now, and durations: of the same conditions as the list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs.admin.run_list import live
from runs.models import Run, RunStatus
from tests.support.admin_site import sign_in
from tests.support.rows import make_run, make_thread
from threads.models import ThreadStatus

RUNS = "/admin/runs/run/"


@pytest.fixture
def root(db: None) -> Client:
    return sign_in(is_superuser=True)


def ask(client: Client, page: str = "rows", **query: Any) -> Any:
    response = client.get(f"{RUNS}{page}/", query)
    assert response.status_code == 200, response.content
    return response.json()


def test_rows_are_as_the_list_renders_them(root: Client) -> None:
    run = make_run("error", error={"error": "E<b>", "message": "m"})
    listed = root.get(RUNS).content.decode()
    [cells] = ask(root, shown=run.id)["rows"].values()
    assert "E&lt;b&gt;" in cells
    without_times = [part for part in cells.split("<td") if "datetime" not in part]
    assert all(part.strip() in listed for part in without_times)


def test_rows_stay_that_match_no_more_and_removed_ones_are_missing(root: Client) -> None:
    run, gone = make_run("running"), uuid4()
    Run.objects.filter(id=run.id).update(status=RunStatus.SUCCESS, finished_at=timezone.now(), worker=None)
    found = ask(root, status="running", shown=[run.id, gone, "nonsense", "\x00"])
    assert list(found["rows"]) == [str(run.id)]
    assert "success" in found["rows"][str(run.id)]


def test_a_run_that_asks_a_person_says_so(root: Client) -> None:
    run = make_run("success", thread=make_thread(status=ThreadStatus.INTERRUPTED))
    assert "asks" in ask(root, shown=run.id)["rows"][str(run.id)]


def test_newer_runs_of_the_list_are_counted_up_to_a_bound(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = make_run("success", age=60)
    failed = [make_run("error", age=age) for age in (50, 40, 30)]
    assert ask(root, shown=shown.id)["new"] == 3
    assert ask(root, shown=[shown.id, failed[1].id])["new"] == 1
    assert ask(root, status="success", shown=shown.id)["new"] == 0
    assert ask(root, status="error")["new"] == 3, "of an empty list"
    monkeypatch.setattr(live, "NEW", 2)
    found = ask(root, shown=shown.id)
    assert (found["new"], found["most"]) == (2, 2)


def test_what_the_list_has_said_is_not_said_again(root: Client) -> None:
    run = make_run("success")
    for _ in range(3):
        ask(root, q="queue:default", status="nonsense", shown=run.id)
    assert list(root.get(RUNS).context["messages"]) == []


def test_durations_of_the_newest_ended_runs(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    runs = [
        make_run("success", age=age, started_at=now, finished_at=now + timedelta(seconds=age / 10))
        for age in (30, 20, 10)
    ]
    make_run("running")
    make_run("interrupted", started_at=None)
    points = ask(root, "durations")["points"]
    assert [(point["id"], point["seconds"]) for point in points] == [
        (str(run.id), seconds) for run, seconds in zip(runs, (3.0, 2.0, 1.0), strict=True)
    ]
    assert root.get(points[0]["url"]).status_code == 200
    assert ask(root, "durations", status="error")["points"] == []
    monkeypatch.setattr(live, "POINTS", 2)
    assert len(ask(root, "durations")["points"]) == 2


@pytest.mark.parametrize("page", ["rows", "durations"])
def test_an_address_of_no_list_is_refused(root: Client, page: str) -> None:
    response = root.get(f"{RUNS}{page}/", {"no_such_field": "1"})
    assert (response.status_code, response.json()) == (400, {"detail": "There is no such list."})


def test_asking_again_takes_few_statements(root: Client) -> None:
    runs = [make_run("success") for _ in range(5)]
    with CaptureQueriesContext(connection) as few:
        ask(root, shown=[run.id for run in runs[:1]])
    with CaptureQueriesContext(connection) as many:
        ask(root, shown=[run.id for run in runs])
    assert len(many) == len(few) <= 12
