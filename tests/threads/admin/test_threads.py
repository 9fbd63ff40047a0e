"""Threads in the admin."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.support.admin_site import page, sign_in, staff
from tests.support.rows import make_run, make_thread
from threads.models import Thread

THREADS = "/admin/threads/thread/"


@pytest.fixture
def viewer(db: None) -> Client:
    return staff("view_thread", "view_run", "view_run_payload")


def listed(client: Client, **query: str) -> list[Any]:
    response = client.get(THREADS, query)
    assert response.status_code == 200
    return [thread.pk for thread in response.context["cl"].result_list]


def test_the_list_begins_with_the_newest_whatever_the_form_of_its_id(viewer: Client) -> None:
    old, new = make_thread(id=uuid4()), make_thread()
    assert listed(viewer) == [new.id, old.id]


def test_the_list_takes_as_many_queries_for_many_threads_as_for_few(viewer: Client) -> None:
    counts = []
    for rows in (2, 20):
        for _ in range(rows):
            make_run(
                "error", thread=make_thread(status="error", metadata={"graph_id": "steps"}, values={"a": 1})
            )
        with CaptureQueriesContext(connection) as queries:
            viewer.get(THREADS)
        counts.append(len(queries))
    statements = " ".join(query["sql"] for query in queries)
    assert counts[0] == counts[1] <= 6, statements
    for column in ('"values"', '"interrupts"', '"threads_thread"."config"'):
        assert column not in statements


def test_threads_are_found_by_id_and_by_user(viewer: Client) -> None:
    thread, other = make_thread(), make_thread()
    assert listed(viewer, q=str(thread.id)) == [thread.id]
    assert listed(viewer, q=other.user.username) == [other.id]
    assert listed(viewer, q="zzz") == []


def test_threads_are_filtered_by_status_and_age(viewer: Client) -> None:
    failed, idle = make_thread(status="error"), make_thread()
    assert listed(viewer, status="error") == [failed.id]
    assert listed(viewer, created="1h") == [idle.id, failed.id]
    assert listed(viewer, created="older") == []


def test_a_thread_s_page_shows_its_state_and_its_runs(viewer: Client) -> None:
    thread = make_thread(
        status="interrupted",
        metadata={"graph_id": "steps", "title": "On mountains"},
        values={"answer": "Everest"},
        interrupts={"task": [{"id": "0" * 32, "value": "Is it fine?"}]},
        error={"error": "ValueError", "message": "kaboom"},
    )
    run, other = make_run("success", thread=thread), make_run()
    html = viewer.get(page(thread)).content.decode()
    for shown in (
        "status-interrupted",
        "Everest",
        "Is it fine?",
        "kaboom",
        "On mountains",
        f"/admin/runs/run/{run.id}/",
    ):
        assert shown in html
    assert str(other.id) not in html


def test_a_thread_s_page_shows_no_more_than_its_last_runs_and_with_as_many_queries(viewer: Client) -> None:
    thread = make_thread()
    counts = []
    viewer.get(page(thread))  # content types are queried once
    for runs in (2, 60):
        for _ in range(runs):
            newest = make_run("success", thread=thread)
        with CaptureQueriesContext(connection) as queries:
            html = viewer.get(page(thread)).content.decode()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 9
    assert html.count("status-success") == 50
    assert str(newest.id) in html


def test_runs_are_shown_only_to_those_who_may_see_runs(db: None) -> None:
    run = make_run("success")
    html = staff("view_thread").get(page(run.thread)).content.decode()
    assert str(run.thread_id) in html
    assert str(run.id) not in html


def test_nobody_adds_changes_or_deletes_threads(db: None) -> None:
    thread, root = make_thread(), sign_in(is_superuser=True)
    assert root.get(f"{THREADS}add/").status_code == 403
    assert root.get(f"{THREADS}{thread.pk}/delete/").status_code == 403
    assert root.post(page(thread), {"status": "idle"}).status_code == 403
    assert Thread.objects.filter(id=thread.id).exists()


@pytest.mark.sqlite
def test_a_surrogate_that_no_encoding_has_is_shown_escaped(viewer: Client) -> None:
    thread = make_thread(metadata={"title": "\ud800"})
    assert "\\ud800" in viewer.get(page(thread)).content.decode()
