"""Runs and assistants in the admin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from runs.admin import actions as admin_actions
from runs.encoding import encode
from runs.models import Run
from runs.protocols.agent.items import PACK, pack
from runs.templatetags.run_tables import DATA_LIMIT, MAX_EVENTS
from tests.support.admin_site import page, sign_in, staff
from tests.support.driving import Driver
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
from threads.db.database import in_database
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


def act(client: Client, action: str, *runs: Any, **data: Any) -> list[str]:
    """Execute an action on runs; return its messages."""
    data = {"action": action, "_selected_action": [str(run.pk) for run in runs], **data}
    response = client.post(RUNS, data, follow=True)
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]


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


def test_a_run_s_page_takes_as_many_queries_for_many_events_as_for_few(root: Client) -> None:
    counts = []
    root.get(page(make_run()))  # content types are queried once
    for events in (1, 150):
        run = make_run("running")
        make_events(run, events)
        with CaptureQueriesContext(connection) as queries:
            assert root.get(page(run)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8, [query["sql"] for query in queries]


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
    messages = act(root, "cancel_runs", run)
    assert messages == ["Cancelled 1 run: 1 asked to stop."]


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


def test_a_run_s_page_shows_its_last_events_in_their_order(root: Client) -> None:
    run = make_run("success")
    make_events(run, MAX_EVENTS + 5, data=json.dumps("d" * 5000))
    html = root.get(page(run)).content.decode()
    assert html.count("&quot;ddd") == MAX_EVENTS
    assert ">1-5<" not in html
    assert 0 < html.index(">1-6<") < html.index(f">1-{MAX_EVENTS + 5}<")
    assert "d" * DATA_LIMIT not in html
    assert f"The last {MAX_EVENTS}." in html


def test_events_that_share_a_row_are_shown_by_what_they_are(root: Client) -> None:
    run = make_run("success")
    items = [
        encode(["messages", ["team:1"], 1, {"content": '["values",[],1,'}]),
        encode(["tasks", [], 2, {}]),
        encode(["messages", [], 3, {"content": "x" * 400}]),
        encode(["checkpoints", [], 4, {}]),
    ]
    make_events(run, 1, event=PACK, data=pack(items))
    html = root.get(page(run)).content.decode()
    assert "<td>packed: messages, tasks, …</td>" in html
    assert "<td>+</td>" not in html


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
    for action in ("cancel_runs", "roll_back_runs", "reconcile_runs"):
        act(viewer, action, run, confirmed="yes")
    row = Run.objects.get()
    assert (row.status, row.cancel_action) == ("running", "")


def test_operators_have_the_actions_on_the_list_and_on_a_run_in_flight(operator: Client) -> None:
    running, pending, done = make_run("running"), make_run(), make_run("success")
    actions = ("cancel_runs", "roll_back_runs", "reconcile_runs")
    for url, expected in (
        (RUNS, [True, True, True]),
        (page(running), [True, True, True]),
        (page(pending), [True, True, False]),
        (page(done), [False, False, False]),
    ):
        html = operator.get(url).content.decode()
        assert [f'value="{action}"' in html for action in actions] == expected


# --- actions


def test_cancel_ends_pending_runs_asks_running_ones_and_leaves_the_others(operator: Client) -> None:
    pending, running, done = make_run(), make_run("running"), make_run("success")
    assert act(operator, "cancel_runs", pending, running, done) == [
        "Cancelled 2 runs: 1 asked to stop, 1 cancelled before it was executing."
    ]
    statuses = dict(Run.objects.values_list("id", "status"))
    assert statuses == {pending.id: "interrupted", running.id: "running", done.id: "success"}
    row = Run.objects.get(id=running.id)
    assert row.cancel_action == "interrupt"
    pending.thread.refresh_from_db()
    assert pending.thread.status == "idle"


def test_cancel_says_when_nothing_is_to_be_cancelled(operator: Client) -> None:
    assert act(operator, "cancel_runs", make_run("success")) == ["None of these runs is pending or running."]
    assert act(operator, "roll_back_runs", make_run("error")) == ["None of these runs is pending or running."]


def test_a_roll_back_is_confirmed_first(operator: Client) -> None:
    pending, running = make_run(), make_run("running")
    data = {"action": "roll_back_runs", "_selected_action": [str(pending.pk), str(running.pk)]}
    response = operator.post(RUNS, data)
    assert response.status_code == 200
    html = response.content.decode()
    assert str(pending.pk) in html
    assert str(running.pk) in html
    assert "cannot be undone" in html
    assert Run.objects.filter(cancel_action="").count() == 2
    messages = act(operator, "roll_back_runs", pending, running, confirmed="yes")
    assert len(messages) == 1
    assert "1 removed before it began" in messages[0]
    assert "1 asked to stop" in messages[0]
    assert not Run.objects.filter(id=pending.id).exists()
    assert Run.objects.get(id=running.id).cancel_action == "rollback"


def test_the_buttons_of_a_run_s_page_do_what_the_list_s_actions_do(operator: Client) -> None:
    run = make_run()
    html = operator.get(page(run)).content.decode()
    assert f'action="{RUNS}?q={run.pk}"' in html
    response = operator.post(
        f"{RUNS}?q={run.pk}", {"action": "cancel_runs", "_selected_action": str(run.pk)}, follow=True
    )
    assert response.redirect_chain[-1][0] == f"{RUNS}?q={run.pk}"
    assert Run.objects.get().status == "interrupted"


def test_reconcile_resumes_orphans_and_leaves_what_lives(operator: Client) -> None:
    lost, executing = orphan(), make_run("running")
    assert act(operator, "reconcile_runs", lost, executing)[0] in (
        "Reconciled 1 run: 1 will be resumed.",
        # On PostgreSQL a worker without its lock is dead, even if its lease is valid.
        "Reconciled 2 runs: 2 will be resumed.",
    )
    assert Run.objects.get(id=lost.id).status == "pending"


def test_reconcile_says_when_nothing_is_an_orphan(operator: Client) -> None:
    messages = act(operator, "reconcile_runs", make_run())
    assert messages == ["None of these runs is an orphan: they are not running, or their workers are alive."]


def test_reconcile_touches_only_the_selected_runs(operator: Client) -> None:
    chosen, other = orphan(), orphan()
    act(operator, "reconcile_runs", chosen)
    assert Run.objects.get(id=chosen.id).status == "pending"
    assert Run.objects.get(id=other.id).status == "running"


def test_an_action_takes_a_bounded_number_of_runs(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_actions, "LIMIT", 2)
    runs = [make_run() for _ in range(3)]
    messages = act(operator, "cancel_runs", *runs)
    assert messages == [
        "Cancelled 2 runs: 2 cancelled before it was executing.",
        "An action takes 2 runs at most. Repeat it for the rest.",
    ]
    assert Run.objects.filter(status="pending").count() == 1


def test_who_did_what_is_in_the_run_s_history(operator: Client) -> None:
    run, lost = make_run(), orphan()
    act(operator, "cancel_runs", run)
    act(operator, "reconcile_runs", lost)
    entries = {entry.object_id: entry.change_message for entry in LogEntry.objects.all()}
    assert entries == {str(run.id): "Cancelled (interrupt)", str(lost.id): "Reconciled"}
    assert "Cancelled (interrupt)" in operator.get(f"{RUNS}{run.pk}/history/").content.decode()


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
    await in_database(act, client, "cancel_runs", run)
    async with asyncio.timeout(5):
        row = await driver.until(run, "interrupted")
    assert row.cancel_action == "interrupt"


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
