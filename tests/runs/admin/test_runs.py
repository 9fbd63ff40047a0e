"""Runs and assistants in the admin."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from runs.admin.run_page.logs import PAGE
from runs.encoding import encode
from runs.protocols.agent.items import PACK, pack
from runs.protocols.readable import LONGEST
from tests.support.admin_site import page, sign_in, staff
from tests.support.rows import (
    make_assistant,
    make_events,
    make_run,
    make_thread,
    make_user,
    make_worker,
    orphan,
)
from threads.admin import base as threads_admin
from threads.db.fields import Encoded
from threads.display import JSON_LIMIT, short_id

XSS = '<script>alert("x")</script>'
RUNS = "/admin/runs/run/"
VIEW = ("view_run", "view_thread", "view_worker", "view_assistant")


@pytest.fixture
def root(db: None) -> Client:
    return sign_in(is_superuser=True)


@pytest.fixture
def viewer(db: None) -> Client:
    return staff(*VIEW)


@pytest.fixture
def operator(db: None) -> Client:
    return staff(*VIEW, "operate_run")


def listed(client: Client, **query: str) -> set[Any]:
    """The ids of the runs that the list shows."""
    response = client.get(RUNS, query)
    assert response.status_code == 200
    return {run.pk for run in response.context["cl"].result_list}


# --- the list


def test_the_list_has_one_row_for_each_run_with_its_status_first(root: Client) -> None:
    worker = make_worker(host="web-1", pid=7)
    run = make_run(
        "running", worker=worker, input_tokens=1200, output_tokens=34, assistant=make_assistant("nested")
    )
    failed = make_run("error", age=60, error={"error": "ValueError", "message": "kaboom " * 500})
    html = root.get(RUNS).content.decode()
    rows = html.partition("<tbody>")[2].split("<tr>")[1:]
    assert [short_id(each.id) in row for each, row in zip((run, failed), rows, strict=True)] == [True, True]
    for shown in ("status-running", page(run), page(run.thread), "nested", "1,200 / 34", "web-1:7"):
        assert shown in rows[0]
    assert "ValueError: kaboom" in rows[1]
    assert "kaboom " * 200 not in rows[1]
    assert rows[0].index("status-running") < rows[0].index(page(run))


@pytest.mark.parametrize(
    ("url", "make", "most"),
    [
        # Session, user, columns, views, count, rows, those of them that wait, the rows that the filters count,
        # and three for the names of their choices.
        (RUNS, lambda: make_run("running", assistant=make_assistant(user=make_user())), 12),
        (RUNS, lambda: make_run("success", error={"error": "E", "message": "m"}), 12),
        ("/admin/runs/worker/", lambda: orphan().worker, 6),
        ("/admin/runs/assistant/", lambda: make_assistant(user=make_user()), 6),
    ],
)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    root: Client, url: str, make: Callable[[], Any], most: int
) -> None:
    counts = []
    for rows in (2, 20):
        for _ in range(rows):
            make()
        with CaptureQueriesContext(connection) as queries:
            assert root.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= most, [query["sql"] for query in queries]


def test_a_run_s_page_takes_as_many_queries_for_many_events_as_for_a_page(root: Client) -> None:
    counts = []
    root.get(page(make_run()))  # content types are queried once
    for events in (2 * PAGE, 3 * PAGE):
        run = make_run("running")
        make_events(run, events)
        with CaptureQueriesContext(connection) as queries:
            assert root.get(page(run)).status_code == 200
        counts.append(len(queries))
    # Eight, and two for each 20 lines.
    assert counts[0] == counts[1] <= 8 + PAGE // 10, [query["sql"] for query in queries]


def test_the_list_leaves_large_columns_in_the_database(root: Client) -> None:
    make_run("running", kwargs={"input": "x"})
    with CaptureQueriesContext(connection) as queries:
        root.get(RUNS)
    statements = " ".join(query["sql"] for query in queries)
    assert '"runs_run"."error"' in statements
    for column in ('"kwargs"', '"base"', '"runs_run"."metadata"', '"runs_assistant"."config"'):
        assert column not in statements


def test_a_list_counts_only_as_far_as_anybody_pages(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_admin, "COUNTED", 5)
    for _ in range(8):
        make_run(thread=None)
    response = root.get(RUNS)
    assert response.context["cl"].result_count == 5
    assert "5+ runs" in " ".join(response.content.decode().split())
    monkeypatch.setattr(threads_admin, "COUNTED", 8)
    assert "8 runs" in " ".join(root.get(RUNS).content.decode().split())


# --- search and filters


def test_runs_are_found_by_their_ids_their_threads_and_their_users(root: Client) -> None:
    thread = make_thread()
    first, second, other = make_run("success", thread=thread), make_run("success", thread=thread), make_run()
    assert listed(root, q=str(first.id)) == {first.id}
    assert listed(root, q=first.id.hex) == {first.id}
    assert listed(root, q=f" {first.id}  {other.id} ") == {first.id, other.id}
    assert listed(root, q=str(thread.id)) == {first.id, second.id}
    assert listed(root, q=thread.user.username) == {first.id, second.id}
    assert listed(root, q=str(uuid4())) == set()


@pytest.mark.parametrize(
    "term",
    ["zzz", "1", "019", "%", "'; --", '"', "\\", "\x00", "é" * 400, "0" * 33, "a b c", "{", "urn:uuid:x"],
)
def test_a_search_for_something_else_finds_nothing_and_does_not_crash(root: Client, term: str) -> None:
    make_run()
    for url in (RUNS, "/admin/runs/worker/", "/admin/runs/assistant/", "/admin/threads/thread/"):
        response = root.get(url, {"q": term})
        assert response.status_code == 200
        if url == RUNS and term != "\x00":  # Django's own form refuses it, with a message
            assert list(response.context["cl"].result_list) == []


def test_the_beginning_and_the_end_of_an_id_are_found(root: Client) -> None:
    run, _ = make_run(), make_run()
    assert listed(root, q=str(run.id)[:-1]) == {run.id}
    assert listed(root, q=run.id.hex[-8:]) == {run.id}


def test_a_search_by_id_is_answered_by_indexes(root: Client) -> None:
    run = make_run()
    with CaptureQueriesContext(connection) as queries:
        listed(root, q=str(run.id))
    statements = [query["sql"] for query in queries if 'FROM "runs_run"' in query["sql"]]
    assert statements
    assert not [sql for sql in statements if "LIKE" in sql or "CAST" in sql or "::text" in sql]


def test_runs_are_filtered_by_status(root: Client) -> None:
    runs = {status: make_run(status) for status in ("pending", "running", "success", "error", "timeout")}
    assert listed(root, status="in_flight") == {runs["pending"].id, runs["running"].id}
    assert listed(root, status="timeout") == {runs["timeout"].id}


def test_runs_are_filtered_by_graph_worker_and_error(root: Client) -> None:
    worker = make_worker(stopped=True)
    held = make_run("running", worker=worker)
    failed = make_run("error", error={"error": "E", "message": "m"})
    nested = make_run("success", assistant=make_assistant("nested"))
    assert listed(root, graph="nested") == {nested.id}
    assert listed(root, worker=str(worker.id)) == {held.id}
    assert listed(root, has_error="yes") == {failed.id}
    assert listed(root, has_error="no") == {held.id, nested.id}


def test_runs_are_filtered_by_age(root: Client) -> None:
    now, hours, weeks = make_run(), make_run("success", age=5 * 3600), make_run("success", age=20 * 86_400)
    assert listed(root, created="1h") == {now.id}
    assert listed(root, created="24h") == {now.id, hours.id}
    assert listed(root, created="older") == {weeks.id}


def test_links_lead_to_the_runs_of_a_thread_and_of_an_assistant(root: Client) -> None:
    mine, other = make_run("success", assistant=make_assistant(user=make_user())), make_run()
    assert listed(root, thread=str(mine.thread_id)) == {mine.id}
    assert listed(root, assistant=str(mine.assistant_id)) == {mine.id}
    assert f"?assistant={mine.assistant_id}" in root.get(page(mine.assistant)).content.decode()
    assert f"?thread={mine.thread_id}" in root.get(page(mine)).content.decode()
    assert other.id in listed(root)


@pytest.mark.parametrize("name", ["thread", "assistant", "worker", "graph", "status", "has_error", "created"])
@pytest.mark.parametrize("value", ["zzz", "", "\x00", "1" * 500])
def test_a_filter_with_a_senseless_value_does_not_crash(root: Client, name: str, value: str) -> None:
    make_run()
    assert root.get(RUNS, {name: value}, follow=True).status_code == 200


@pytest.mark.parametrize("key", ["zzz", "0", "../x", "29b48887-7863-48f8-8056-81dd0e64933a"])
@pytest.mark.parametrize("model", ["run", "worker", "assistant"])
def test_the_page_of_something_that_does_not_exist_leads_back(root: Client, model: str, key: str) -> None:
    response = root.get(f"/admin/runs/{model}/{key}/change/")
    assert response.status_code in (302, 404)


# --- a run's page


def test_nothing_that_a_graph_or_a_client_wrote_becomes_markup(root: Client) -> None:
    assistant = make_assistant(
        user=make_user(), name=XSS, description=XSS, graph=XSS, config={"a": XSS}, metadata={XSS: XSS}
    )
    worker = make_worker(host=XSS, version=XSS)
    thread = make_thread(
        metadata={"graph_id": XSS, XSS: XSS}, values={XSS: XSS}, error={"error": XSS, "message": XSS}
    )
    run = make_run(
        "running",
        thread=thread,
        assistant=assistant,
        worker=worker,
        kwargs={"input": {XSS: XSS}, "command": {"resume": XSS}, "context": {XSS: XSS}, XSS: XSS},
        metadata={XSS: XSS},
        base={XSS: XSS},
        error={"error": XSS, "message": XSS},
        recovery="<i>",
    )
    make_events(run, 3, event=XSS, data=json.dumps(XSS))
    for url in (
        RUNS,
        page(run),
        "/admin/runs/worker/",
        page(worker),
        "/admin/runs/assistant/",
        page(assistant),
        "/admin/threads/thread/",
        page(thread),
        f"{RUNS}?graph={XSS}",
    ):
        html = root.get(url).content.decode()
        assert "<script>alert" not in html, url
        assert "<i>" not in html, url
        assert escape("<script>alert") in html, url


def test_a_run_s_page_shows_what_was_asked_and_what_happened(root: Client) -> None:
    run = make_run(
        "error",
        kwargs={"input": {"question": "why?"}, "command": None, "config": {"tags": ["blue"]}, "context": {}},
        error={"error": "ValueError", "message": "kaboom"},
        lost_attempts=1,
        attempt=2,
        cancel_action="interrupt",
        metadata={"owner": "Zoë"},
    )
    html = root.get(page(run)).content.decode()
    for shown in (
        str(run.id),
        str(run.thread_id),
        "kaboom",
        "2, 1 of them lost",
        "why?",
        "blue",
        "Zoë",
        "interrupt",
    ):
        assert shown in html
    assert "&quot;command&quot;" not in html


def test_a_run_s_page_shows_the_last_lines_of_its_log_in_their_order(root: Client) -> None:
    run = make_run("success")
    make_events(run, PAGE + 5, event="custom", data=json.dumps("d" * 5000))
    html = root.get(page(run)).content.decode()
    assert html.count("&quot;ddd") == PAGE
    assert ">1-5<" not in html
    assert 0 < html.index(">1-6<") < html.index(f">1-{PAGE + 5}<")
    assert "d" * (LONGEST + 1) not in html
    assert f"The last {PAGE}." in html


def test_events_that_share_a_row_are_lines_of_their_own(root: Client) -> None:
    run = make_run("success")
    items = [
        encode(["messages", ["team:1"], 1, {"content": '["values",[],1,'}]),
        encode(["tasks", [], 2, {"name": "price", "input": {}}]),
        encode(["custom", [], 3, {"api_key": "canary", "order": 7}]),
    ]
    make_events(run, 1, event=PACK, data=pack(items))
    html = root.get(page(run)).content.decode()
    assert "<td>1-1.1</td><td>token</td><td>“[&quot;values&quot;,[],1,”</td>" in html
    assert "<td>1-1.2</td><td>node</td><td>price begins</td>" in html
    assert "order" in html and "canary" not in html


def test_the_events_of_others_are_not_shown(root: Client) -> None:
    make_events(make_run("success"), 2, event="foreign")
    assert "foreign" not in root.get(page(make_run())).content.decode()


def test_json_is_indented_and_cut(root: Client) -> None:
    small, large = make_run(kwargs={"input": {"a": [1]}}), make_run(kwargs={"input": ["word"] * 100_000})
    assert "{\n  &quot;a&quot;: [\n    1\n  ]\n}" in root.get(page(small)).content.decode()
    html = root.get(page(large)).content.decode()
    assert "Cut after 64 KB." in html
    assert JSON_LIMIT < len(html) < 4 * JSON_LIMIT


def test_json_that_is_nested_deeply_is_cut(root: Client) -> None:
    deep = make_run(kwargs=Encoded('{"input": ' + "[" * 1000 + "]" * 1000 + "}"))
    html = root.get(page(deep)).content.decode()
    assert "Cut after 64 KB." in html
    assert len(html) < 4 * JSON_LIMIT


# --- rights


@pytest.mark.parametrize("model", ["run", "worker", "assistant"])
def test_nobody_adds_changes_or_deletes(root: Client, model: str) -> None:
    run = make_run("running")
    row = {"run": run, "worker": run.worker, "assistant": run.assistant}[model]
    base = f"/admin/runs/{model}/"
    assert root.get(f"{base}add/").status_code == 403
    assert root.get(f"{base}{row.pk}/delete/").status_code == 403
    assert root.post(f"{base}{row.pk}/change/", {"status": "success"}).status_code == 403
    root.post(base, {"action": "delete_selected", "_selected_action": str(row.pk), "post": "yes"})
    assert type(row).objects.filter(pk=row.pk).exists()
    assert 'name="_save"' not in root.get(f"{base}{row.pk}/change/").content.decode()


def test_staff_without_a_permission_see_nothing(db: None) -> None:
    run = make_run("running")
    client = staff()
    for url in (RUNS, page(run), "/admin/runs/worker/", page(run.worker), "/admin/runs/assistant/"):
        assert client.get(url).status_code == 403


def test_staff_who_only_view_have_no_actions(viewer: Client) -> None:
    run = make_run("running")
    for url in (RUNS, page(run)):
        html = viewer.get(url).content.decode()
        assert short_id(run.id) in html
        assert "cancel_runs" not in html


# --- assistants


def test_an_assistant_s_page_shows_its_configuration(root: Client) -> None:
    assistant = make_assistant(
        user=make_user(), name="Ada", config={"tags": ["blue"]}, context={"tone": "dry"}
    )
    html = root.get(page(assistant)).content.decode()
    for shown in ("Ada", "blue", "dry", assistant.user.username):
        assert shown in html
    found = root.get("/admin/runs/assistant/", {"q": "ad"}).context["cl"].result_list
    assert [each.name for each in found] == ["Ada"]


def test_a_deleted_assistant_says_so_and_can_be_left_out(root: Client) -> None:
    here, gone = (make_assistant(user=make_user(), name=name, graph="steps") for name in ("Here", "Gone"))
    type(gone).objects.filter(id=gone.id).update(deleted_at=timezone.now())
    run = make_run("success", assistant=gone)
    for address in (page(run), page(run.thread), "/admin/runs/run/"):
        assert ">Gone (deleted)<" in root.get(address).content.decode()
    assert "field-deleted_full" in root.get(page(gone)).content.decode()

    def listed(**conditions: str) -> set[str]:
        response = root.get("/admin/runs/assistant/", conditions)
        return {each.name for each in response.context["cl"].result_list}

    assert listed(deleted="no") == {here.name}
    assert listed(deleted="yes") == {gone.name}


def test_assistants_are_found_by_their_graph(root: Client) -> None:
    make_assistant("steps")
    make_assistant("talking")
    found = root.get("/admin/runs/assistant/", {"graph": "steps"}).context["cl"].result_list
    assert [each.graph_id for each in found] == ["steps"]


def test_the_site_is_called_by_its_name(root: Client) -> None:
    html = root.get("/admin/").content.decode()
    assert '<a href="/admin/">Runs</a>' in html
    assert "Django administration" not in html


def test_secrets_of_threads_and_assistants_are_hidden(root: Client) -> None:
    secrets = {"configurable": {"api_key": "canary"}}
    thread = make_thread(config=secrets)
    assistant = make_assistant()
    type(assistant).objects.filter(id=assistant.id).update(config=secrets, context={"x-api-key": "canary"})
    for row in (thread, assistant):
        shown = root.get(page(row)).content.decode()
        assert "api_key" in shown
        assert "canary" not in shown
