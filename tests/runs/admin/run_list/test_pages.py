"""Columns and saved views of the list of runs."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from runs.admin.run_list import pages
from runs.admin.run_list.columns import COLUMNS, DEFAULT
from runs.admin.runs import RunAdmin
from runs.models import ListColumns, SavedView
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_run

RUNS = "/admin/runs/run/"
XSS = '"><script>alert(1)</script>'


@pytest.fixture
def root(db: None) -> Client:
    return sign_in(is_superuser=True)


def person(client: Client) -> Any:
    return get_user_model().objects.get(pk=client.session["_auth_user_id"])


def shown(client: Client, **query: Any) -> tuple[str, ...]:
    """The columns of the list, without the boxes of actions."""
    columns = client.get(RUNS, query).context["cl"].list_display
    return tuple(name for name in columns if name != "action_checkbox")


def post(client: Client, page: str, **data: Any) -> Any:
    """Send a form of the list; the answer is the list again."""
    response = client.post(f"{RUNS}{page}/", data, follow=True)
    assert response.status_code == 200
    assert response.redirect_chain[-1][0].startswith(f"{RUNS}?")
    return response


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- columns


def test_the_list_says_whose_each_run_is(root: Client) -> None:
    run = make_run("success")
    html = root.get(RUNS).content.decode()
    name = run.user.username
    assert f'<a href="?user={name}" title="{name}">{name}</a>' in html
    assert shown(root) == DEFAULT


def test_a_person_s_columns_are_kept_over_a_logout(root: Client) -> None:
    make_run("success")
    response = post(
        root, "columns", column=["queue", "state", "nonsense"], query="status=success&columns=tokens&p=2"
    )
    assert response.redirect_chain == [(f"{RUNS}?status=success", 302)]
    assert shown(root) == ("state", "short", "queue")
    again = Client()
    again.force_login(person(root))
    assert shown(again) == ("state", "short", "queue")
    assert shown(sign_in(is_superuser=True)) == DEFAULT
    post(again, "columns", default="1", column=["queue"])
    assert shown(root) == DEFAULT
    assert not ListColumns.objects.exists()
    post(root, "columns")
    assert shown(root) == ("short",)


def test_each_column_can_be_shown(root: Client) -> None:
    make_run("running", cancel_action="interrupt")
    response = root.get(RUNS, {"columns": ",".join(COLUMNS)})
    assert shown(root, columns=",".join(COLUMNS)) == tuple(COLUMNS)
    html = response.content.decode()
    assert all(f'class="field-{name}' in html for name in COLUMNS if name != "short")
    of_rows = {"queue": "queue", "priority": "priority", "attempt": "attempt"}
    described = {name: of_rows.get(name) or getattr(RunAdmin, name).short_description for name in COLUMNS}
    assert described == COLUMNS


@pytest.mark.parametrize("columns", ["", "zzz", "id,__str__", "\x00", XSS, "kwargs", "," * 3000])
def test_columns_that_there_are_not_are_left_out(root: Client, columns: str) -> None:
    make_run()
    assert shown(root, columns=columns) == DEFAULT
    assert shown(root, columns=f"{columns},state") == ("state", "short")


# --- saved views


def test_a_view_keeps_filters_search_and_columns(root: Client) -> None:
    make_run("error")
    query = "status=error&status=timeout&q=queue%3Adefault&p=3&_popup=1&columns=state%2Cqueue"
    response = post(root, "saveview", name="  Failures  today ", query=query)
    assert said(response)[0] == "The view “Failures today” is saved."
    view = SavedView.objects.get()
    assert (view.name, view.shared, view.user) == ("Failures today", False, person(root))
    assert view.query == "status=error&status=timeout&q=queue%3Adefault&columns=state%2Cqueue"
    opened = root.get(f"{RUNS}?{view.query}")
    html = opened.content.decode()
    assert (
        f'<a href="?{escape(view.query)}" aria-current="page"><span dir="auto">Failures today</span>' in html
    )
    assert opened.context["cl"].result_list[0].status == "error"
    assert 'aria-current="page"><span' not in root.get(RUNS).content.decode()


def test_a_view_keeps_the_columns_that_its_owner_sees(root: Client) -> None:
    post(root, "columns", column=["queue"])
    post(root, "saveview", name="mine", query="", shared="on")
    other = staff("view_run")
    (view,) = other.get(RUNS).context["run_list"]["views"]
    assert view["view"].query == "columns=short%2Cqueue"
    assert shown(other, columns="short,queue") == ("short", "queue")


def test_a_view_of_the_same_name_is_replaced(root: Client) -> None:
    for query in ("status=error", "status=timeout"):
        response = post(root, "saveview", name="x", query=query, shared="on")
    assert said(response) == ["The view “x” is replaced."]
    assert SavedView.objects.get().query.startswith("status=timeout&")
    post(staff("view_run"), "saveview", name="x", query="status=error")
    assert SavedView.objects.count() == 2


def test_others_see_only_what_is_shared_and_delete_none_of_it(root: Client) -> None:
    owner, other = staff("view_run"), staff("view_run")
    post(owner, "saveview", name="private", query="status=error")
    post(owner, "saveview", name="common", query="status=error", shared="on")
    private, common = SavedView.objects.get(name="private"), SavedView.objects.get(name="common")

    def names(client: Client) -> list[str]:
        return [each["view"].name for each in client.get(RUNS).context["run_list"]["views"]]

    assert names(owner) == ["common", "private"]
    assert names(other) == names(root) == ["common"]
    assert f"of {person(owner)}" in other.get(RUNS).content.decode()
    assert "Delete the view" not in other.get(RUNS).content.decode()
    for view, client, text in (
        (private, other, "This view is no longer there."),
        (private, root, "This view is no longer there."),
        (common, other, "Only its owner and superusers delete a shared view."),
        (common, root, "The view “common” is deleted."),
        (common, root, "This view is no longer there."),
        (private, owner, "The view “private” is deleted."),
    ):
        assert said(post(client, "deleteview", view=view.pk, query="status=error")) == [text]
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("view", ["", "zzz", "\x00", "29b48887-7863-48f8-8056-81dd0e64933a"])
def test_a_view_that_there_is_not_is_not_deleted(root: Client, view: str) -> None:
    assert said(post(root, "deleteview", view=view)) == ["This view is no longer there."]


def test_names_and_conditions_are_bounded_and_never_markup(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "OWN", 2)
    for name in ("", "   ", "\x00"):
        assert said(post(root, "saveview", name=name)) == ["Nothing was saved: a view needs a name."]
    long = post(root, "saveview", name="long", query=f"q={'x' * 3000}")
    assert said(long) == ["Nothing was saved: these conditions are too long."]
    response = post(root, "saveview", name=XSS + "n" * 200, query=f"q={XSS}#x")
    assert "<script>alert" not in response.content.decode()
    assert len(SavedView.objects.get().name) == 80
    post(root, "saveview", name="second", query="?a=b&&&=&%00")
    assert said(post(root, "saveview", name="third")) == [
        "Nothing was saved: 2 views are the most. Delete one first."
    ]
    assert said(post(root, "saveview", name="second")) == ["The view “second” is replaced."]


def test_a_form_never_leads_elsewhere(root: Client) -> None:
    for query in ("//example.com", "https://example.com/", "\r\nX-A: b", "/../../"):
        post(root, "columns", column="state", query=query)


def test_the_list_takes_as_many_queries_for_many_views_as_for_few(root: Client) -> None:
    make_run("success")
    counts = []
    for number in range(2):
        for place in range(10):
            other = staff("view_run")
            post(other, "saveview", name=f"{number} {place}", shared="on")
        with CaptureQueriesContext(connection) as queries:
            assert root.get(RUNS).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_forms_need_their_token(db: None) -> None:
    client = staff("view_run")
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(person(client))
    for page in ("columns", "saveview", "deleteview"):
        assert guarded.post(f"{RUNS}{page}/", {"name": "x"}).status_code == 403
