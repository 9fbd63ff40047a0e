"""The admin's login, its pages' policy, and its answers to invalid ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import AsyncClient, Client

from runs.identity.logins import FAILURES, TOO_MANY
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_assistant, make_run, make_thread, make_user
from threads.models import Thread

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_failed_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def log_in(user: Any, password: str, *, address: str = "10.0.0.1") -> Any:
    fields = {"username": user.get_username(), "password": password}
    return Client(REMOTE_ADDR=address).post("/admin/login/", fields)


def test_guessing_a_password_ends_soon() -> None:
    user, other = make_user(is_staff=True, password="right"), make_user(is_staff=True, password="right")
    for _ in range(FAILURES):
        assert TOO_MANY not in log_in(user, "wrong").content.decode()
    refused = log_in(user, "right")
    assert refused.status_code == 200
    assert TOO_MANY in refused.content.decode()
    # Other users, and other addresses, are not locked out.
    assert log_in(other, "right").status_code == 302
    assert log_in(user, "right", address="10.0.0.2").status_code == 302
    cache.clear()
    assert log_in(user, "right").status_code == 302


def test_a_login_forgets_the_failures_before_it() -> None:
    user = make_user(is_staff=True, password="right")
    for _ in range(3):
        for _ in range(FAILURES - 1):
            log_in(user, "wrong")
        assert log_in(user, "right").status_code == 302


@pytest.mark.parametrize("path", ["1/1", "1/x", "x/1", "99999999999999999999/1", "1/" + "9" * 400])
def test_what_is_no_id_has_no_page(path: str) -> None:
    assert sign_in(is_superuser=True).get(f"/admin/r/{path}/").status_code == 404
    assert Client().get(f"/admin/r/{path}/").status_code == 302


@pytest.mark.parametrize("path", ["", "login/", "threads/thread/", "runs/run/", "nowhere/"])
def test_a_page_of_the_admin_loads_what_is_this_sites_own(path: str) -> None:
    answer = sign_in(is_superuser=True).get(f"/admin/{path}")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    content = answer.content.decode()
    assert "<style" not in content
    assert not [part for part in content.split("<script")[1:] if "src=" not in part.partition(">")[0]]


def test_a_page_about_an_error_in_development_is_left_as_django_makes_it(settings: Any) -> None:
    settings.DEBUG = True
    answer = sign_in(is_superuser=True).get("/admin/nowhere/")
    assert answer.status_code == 404
    assert "Content-Security-Policy" not in answer.headers


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
async def test_an_unknown_path_is_one_for_every_method(method: str) -> None:
    """Also for a browser without a CSRF token, because there is nothing to change."""
    answer = await getattr(AsyncClient(enforce_csrf_checks=True), method)("/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_a_user_is_deleted_in_the_admin_with_all_that_is_the_users() -> None:
    user = make_user()
    thread = make_thread(user=user)
    make_run("success", thread=thread, assistant=make_assistant("nested", user=user))
    other = make_thread()
    root, path = sign_in(is_superuser=True), f"/admin/auth/user/{user.pk}/delete/"
    asked = root.get(path).content.decode()
    # The confirmation lists all rows to be deleted.
    for word in ("Threads", "Runs", "Assistants"):
        assert f"<li>{word}: 1</li>" in asked, asked
    assert root.post(path, {"post": "yes"}).status_code == 302
    assert list(Thread.objects.values_list("pk", flat=True)) == [other.pk]


def test_who_may_not_delete_users_deletes_nothing_of_theirs() -> None:
    thread = make_thread()
    client = staff("view_thread", "view_user")
    for path in (f"auth/user/{thread.user_id}/delete/", f"threads/thread/{thread.pk}/delete/"):
        assert client.post(f"/admin/{path}", {"post": "yes"}).status_code == 403
    root = sign_in(is_superuser=True)
    assert root.post(f"/admin/threads/thread/{thread.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Thread.objects.filter(pk=thread.pk).exists()
