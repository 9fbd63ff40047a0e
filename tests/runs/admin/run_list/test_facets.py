"""The filters of the list of runs that take several values, with their counts."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs.admin.run_list import counts
from tests.support.admin_site import sign_in
from tests.support.rows import make_assistant, make_run, make_thread, make_user, make_worker
from threads.admin import base

RUNS = "/admin/runs/run/"


@pytest.fixture
def root(db: None) -> Client:
    return sign_in(is_superuser=True)


def changelist(client: Client, query: Any = ()) -> Any:
    response = client.get(RUNS, query)
    assert response.status_code == 200
    return response.context["cl"]


def listed(client: Client, **query: Any) -> set[Any]:
    return {run.pk for run in changelist(client, query).result_list}


def choices(client: Client, name: str, **query: Any) -> dict[str, str]:
    """The counts of a filter's choices by their labels."""
    found = changelist(client, query)
    (spec,) = [each for each in found.filter_specs if getattr(each, "parameter_name", "") == name]
    return {each["display"]: each["count"] for each in spec.choices(found) if "count" in each}


def test_a_filter_takes_several_values_in_two_forms(root: Client) -> None:
    runs = {status: make_run(status) for status in ("pending", "running", "success", "error", "timeout")}
    wanted = {runs["error"].id, runs["timeout"].id}
    assert listed(root, status=["error", "timeout"]) == wanted
    assert listed(root, status__in="error,timeout") == wanted
    assert listed(root, status=["error"], status__in="timeout") == wanted


def test_by_graph_assistant_queue_worker_and_user(root: Client) -> None:
    worker, theirs = make_worker(), make_assistant("nested", user=make_user(), name="Ada's")
    held = make_run("running", worker=worker)
    other = make_run("success", assistant=theirs, queue="gpu")
    third = make_run("success")
    assert listed(root, graph="nested") == {other.id}
    assert listed(root, graph=["nested", "steps"]) == {held.id, other.id, third.id}
    assert listed(root, assistant=str(theirs.id)) == {other.id}
    assert listed(root, queue=["gpu", "nothing"]) == {other.id}
    assert listed(root, worker=[str(worker.id)]) == {held.id}
    assert listed(root, user=[held.user.username, third.user.username]) == {held.id, third.id}
    assert listed(root, user="nobody") == set()
    assert listed(root, queue="default", status="success") == {third.id}


def test_waiting_for_a_person_is_apart_from_cancelled(root: Client) -> None:
    asked = make_thread(status="interrupted")
    make_run("success", thread=asked)
    asking = make_run("success", thread=asked)
    cancelled = make_run("interrupted", cancel_action="interrupt")
    stopped = make_run("interrupted")
    assert listed(root, status="waiting") == {asking.id}
    for word in ("cancelled", "interrupted"):
        assert listed(root, status=word) == {cancelled.id, stopped.id}
    assert listed(root, status=["waiting", "cancelled"]) == {asking.id, cancelled.id, stopped.id}
    html = root.get(RUNS).content.decode()
    badges = [each.partition("</span>")[0] for each in html.split('<span class="status ')[1:]]
    assert sorted(badges) == [
        'status-cancelled">cancelled', 'status-cancelled">stopped', 'status-success">success',
        'status-waiting">asks',
    ]  # fmt: skip
    found = choices(root, "status")
    assert (found["Waits for a person"], found["Cancelled"], found["Success"]) == ("1", "2", "2")


def test_the_counts_of_a_filter_respect_the_others_and_not_itself(root: Client) -> None:
    nested = make_assistant("nested")
    for status, assistant in (("error", nested), ("error", None), ("success", nested), ("timeout", None)):
        make_run(status, assistant=assistant)
    asking = make_run("success", thread=make_thread(status="interrupted"))
    assert choices(root, "graph") == {"nested": "2", "steps": "3"}
    assert choices(root, "graph", status=["error"]) == {"nested": "1", "steps": "1"}
    assert choices(root, "graph", status=["waiting"]) == {"steps": "1"}
    assert choices(root, "graph", status=["waiting", "success"]) == {"nested": "1", "steps": "1"}
    by_status = choices(root, "status", status=["error"], graph="nested")
    assert (by_status["Error"], by_status["Success"], by_status["Waits for a person"]) == ("1", "1", "0")
    assert choices(root, "status", q=str(asking.id))["Waits for a person"] == "1"
    assert choices(root, "status", q=str(asking.id))["Error"] == "0"
    assert choices(root, "user", user="nobody")[asking.user.username] == "1"


def test_what_is_chosen_stays_offered(root: Client) -> None:
    make_run("error")
    assert choices(root, "graph", graph="gone", status="success") == {"gone": "0"}
    unknown = "29b48887-7863-48f8-8056-81dd0e64933a"
    assert choices(root, "worker", worker=unknown) == {unknown.replace("-", "")[-8:]: "0"}


def test_a_choice_adds_itself_and_is_removed_again(root: Client) -> None:
    make_run("error")
    query = [("created", "1h"), ("status", "error"), ("status", "timeout")]
    found = changelist(root, {"created": "1h", "status": ["error", "timeout"], "p": "1"})
    spec = found.filter_specs[0]
    links = {each["display"]: parse_qsl(each["query_string"][1:]) for each in spec.choices(found)}
    assert links["All"] == [("created", "1h")]
    assert sorted(links["Pending"]) == sorted([*query, ("status", "pending")])
    assert links["Error"] == [("created", "1h"), ("status", "timeout")]


def test_the_search_form_keeps_every_value(root: Client) -> None:
    html = root.get(RUNS, {"status": ["error", "timeout"], "created": "1h"}).content.decode()
    kept = [each.partition(">")[0] for each in html.split('<input type="hidden" ') if 'name="status"' in each]
    assert [each.strip() for each in kept] == [
        'form="changelist-search" name="status" value="error"',
        'form="changelist-search" name="status" value="timeout"',
    ]


@pytest.mark.parametrize("name", ["status", "graph", "assistant", "queue", "worker", "user"])
@pytest.mark.parametrize("suffix", ["", "__in"])
def test_senseless_values_are_left_out_and_said(root: Client, name: str, suffix: str) -> None:
    run = make_run()
    said = f"Not a value of the filter by {name}, and left out"
    response = root.get(RUNS, {f"{name}{suffix}": "\x00"})
    assert response.status_code == 200
    assert said in str([str(each) for each in response.context["messages"]])
    assert {each.pk for each in response.context["cl"].result_list} == {run.pk}
    for value in ("", ",," if suffix else "", ["", ""]):
        assert listed(root, **{f"{name}{suffix}": value}) == {run.pk}
    for value in ("zzz", "1" * 500, "'; --", "é", ["a"] * 500, "<b>", "null", "None"):
        response = root.get(RUNS, {f"{name}{suffix}": value})
        assert response.status_code == 200
        assert "<b>" not in response.content.decode().partition("messagelist")[2].partition("</ul>")[0]
    for other in ("exact", "isnull", "gt", "x__y"):
        assert root.get(RUNS, {f"{name}__{other}": "zzz"}, follow=True).status_code in (200, 400)


def test_a_value_that_cannot_be_is_left_out_beside_others(root: Client) -> None:
    failed, _ = make_run("error"), make_run("success")
    assert listed(root, status=["error", "zzz"]) == {failed.id}
    assert listed(root, worker=["zzz"], status="error") == {failed.id}


def test_counts_are_bounded_and_say_so(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run("error")
    for _ in range(3):
        make_run("success")
    monkeypatch.setattr(counts, "NEWEST", 3)
    found = choices(root, "status")
    assert (found["Success"], found["Error"]) == ("3+", "0+")
    assert "count the newest 3 runs" in root.get(RUNS).content.decode()
    monkeypatch.setattr(counts, "NEWEST", 4)
    found = choices(root, "status")
    assert (found["Success"], found["Error"]) == ("3", "1")


def test_the_list_says_how_many_runs_there_are(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for status in ("error", "error", "success"):
        make_run(status, error={"error": "E"} if status == "error" else None)
    asked = make_run("success", thread=make_thread(status="interrupted"))

    def count(**query: Any) -> str:
        return str(changelist(root, query).result_count)

    assert (count(), count(status="error"), count(status=["waiting", "error"])) == ("4", "2", "3")
    assert (count(user="nobody"), count(user=asked.user.username, status="success")) == ("0", "1")
    assert count(has_error="yes", status="success") == "0"
    for module in (counts, base):
        monkeypatch.setattr(module, "NEWEST" if module is counts else "COUNTED", 3)
    assert (count(), count(status="error"), count(queue="default")) == ("3+", "2", "3+")


@pytest.mark.parametrize("status", ["", "error"])
def test_no_statement_counts_without_a_bound(
    root: Client, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(counts, "NEWEST", 3)
    for _ in range(6):
        make_run("error")
    with CaptureQueriesContext(connection) as queries:
        listed(root, status=status)
    counted = [query["sql"] for query in queries if "waits" in query["sql"] or "COUNT(" in query["sql"]]
    # Those that the filters count, and the list's own rows if they are others.
    assert len(counted) == (2 if status else 1)
    assert all("LIMIT" in sql for sql in counted), counted
