"""Users' data in the admin: what is there, its export, and its deletion."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model

from runs.admin.thread_page import people
from runs.exceptions import ThreadLocked
from tests.runs.management.agents.test_nouns import belongings, of_users
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_thread, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("run_settings")]

PEOPLE = "/admin/threads/thread/people/"
DELETE = ("view_user", "delete_user", "view_thread")


def test_the_page_says_what_goes_with_a_user() -> None:
    user = make_user()
    belongings(user)
    html = sign_in(is_superuser=True).get(f"{PEOPLE}{user.pk}/").content.decode()
    for shown in (
        "<dt>Threads</dt><dd>3</dd>",
        "<dt>Store items</dt><dd>1</dd>",
        "<dt>Api keys</dt><dd>1</dd>",
    ):
        assert shown in html, shown
    assert "Export as JSONL" in html and "Delete user and data" in html
    looking = staff("view_user").get(f"{PEOPLE}{user.pk}/").content.decode()
    assert "You cannot export it: you need the permission runs.view_run_payload." in looking
    assert "You cannot delete it: you need the permission auth.delete_user." in looking
    assert "Delete user and data" not in looking


def test_a_user_is_deleted_with_everything_of_theirs_and_nothing_else() -> None:
    user, other = make_user(), make_user()
    belongings(user), belongings(other)
    before, client = of_users([other.pk]), staff(*DELETE)
    asked = {"username": user.username}
    assert client.get(f"{PEOPLE}{user.pk}/remove/").status_code == 405
    wrong = client.post(f"{PEOPLE}{user.pk}/remove/", {"username": "x"}, follow=True).content.decode()
    assert "the username differs" in wrong
    assert get_user_model().objects.get(pk=user.pk).is_active
    html = client.post(f"{PEOPLE}{user.pk}/remove/", asked, follow=True).content.decode()
    assert f"The user {user.username} is deleted with " in html
    assert not get_user_model().objects.filter(pk=user.pk).exists()
    assert set(of_users([user.pk]).values()) == {0}
    assert of_users([other.pk]) == before
    assert "3 threads" in LogEntry.objects.get(object_id=str(user.pk)).change_message


def test_a_deletion_that_takes_long_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    user, client = make_user(), staff(*DELETE)
    belongings(user)
    seconds = itertools.count(0, 1.5)
    monkeypatch.setattr(people, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    address, asked = f"{PEOPLE}{user.pk}/remove/", {"username": user.username}
    pages = []
    while get_user_model().objects.filter(pk=user.pk).exists():
        pages.append(client.post(address, asked, follow=True).content.decode())
        assert len(pages) < 50
    assert "The rest is deleted in the background." in pages[0]
    assert "<b>It is being deleted.</b>" in pages[0] and "It could not go on" not in pages[0]
    assert ">Deactivated<" in pages[0].replace("\n", "").replace("</svg>", ">")
    assert set(of_users([user.pk]).values()) == {0}


def test_a_deletion_that_cannot_go_on_says_why_until_the_account_is_active(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user, client = make_user(), staff(*DELETE)

    def locked(*_: Any) -> Any:
        raise ThreadLocked("Others keep some of the user's threads locked.")

    monkeypatch.setattr("runs.retention.users._threads", locked)
    asked = {"username": user.username}
    html = client.post(f"{PEOPLE}{user.pk}/remove/", asked, follow=True).content.decode()
    assert "Deleted so far: no data. The rest is deleted in the background." in html
    assert "tried again: Others keep some of the user&#x27;s threads locked." in html
    get_user_model().objects.filter(pk=user.pk).update(is_active=True)
    assert "It is being deleted" not in client.get(f"{PEOPLE}{user.pk}/").content.decode()


def test_a_deletion_that_was_stopped_by_activating_the_account_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user, client = make_user(), staff(*DELETE)

    def activated(*_: Any) -> Any:
        get_user_model().objects.filter(pk=user.pk).update(is_active=True)
        return iter(())

    monkeypatch.setattr("runs.retention.users._threads", activated)
    asked = {"username": user.username}
    html = client.post(f"{PEOPLE}{user.pk}/remove/", asked, follow=True).content.decode()
    assert "The account was made active again, and nothing more is deleted." in html


def test_an_account_deletes_neither_itself_nor_a_higher_one() -> None:
    root, client = make_user(is_superuser=True), staff(*DELETE)
    me = get_user_model().objects.get(pk=client.session["_auth_user_id"])
    for user, why in (
        (root, "only superusers delete superusers"),
        (me, "an account cannot delete itself here"),
    ):
        html = client.post(
            f"{PEOPLE}{user.pk}/remove/", {"username": user.username}, follow=True
        ).content.decode()
        assert why in html
        assert get_user_model().objects.filter(pk=user.pk).exists()


def test_an_export_is_the_commands_and_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    run = belongings(user)
    client = staff("view_user", "view_run_payload")
    response = client.get(f"{PEOPLE}{user.pk}/export/")
    lines = [json.loads(line) for line in response.content.decode().splitlines()]
    assert lines[0]["kind"] == "user" and lines[0]["username"] == user.username
    assert str(run.thread_id) in {line.get("thread_id") for line in lines}
    assert response["Content-Disposition"] == f'attachment; filename="user-{user.pk}.jsonl"'
    assert LogEntry.objects.get().change_message == "Exported what is theirs."
    monkeypatch.setattr(people, "MOST_EXPORTED", 10)
    assert client.get(f"{PEOPLE}{user.pk}/export/").status_code == 413


@pytest.mark.parametrize("user_id", ["0", "x", "9" * 40, "%00"])
def test_an_unknown_user_is_not_found(user_id: str) -> None:
    assert sign_in(is_superuser=True).get(f"{PEOPLE}{user_id}/").status_code == 404


def test_the_pages_of_users_and_threads_lead_there() -> None:
    root: Any = sign_in(is_superuser=True)
    thread = make_thread()
    for address in (
        f"/admin/auth/user/{thread.user_id}/change/",
        f"/admin/threads/thread/{thread.pk}/change/",
    ):
        assert f"{PEOPLE}{thread.user_id}/" in root.get(address).content.decode()
