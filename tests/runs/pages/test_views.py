"""The pages for people: access, content, and where they begin to read a thread's events."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import AsyncClient
from django.urls import clear_script_prefix, reverse, set_script_prefix

from runs.identity.local import LOCAL_USERNAME
from runs.models import Assistant, Run, RunEvent
from runs.pages.reading import text_of
from runs.protocols.agent.events import first_of
from threads.db import clock
from threads.db.database import in_database, threads
from threads.models import Thread

PASSWORD = "a good password"


@pytest_asyncio.fixture
async def visitor(transactional_db: None, run_settings: Any) -> AsyncIterator[AsyncClient]:
    """A browser on this machine without a login."""
    yield AsyncClient(headers={"host": "localhost"})
    threads.close()


@pytest_asyncio.fixture
async def ada(visitor: AsyncClient, run_settings: Any) -> Any:
    """A logged-in user on a site without a local user."""
    run_settings(LOCAL_USER=False)
    user = await in_database(get_user_model().objects.create_user, "ada", password=PASSWORD)
    await visitor.aforce_login(user)
    return user


def make_thread(user: Any, **fields: Any) -> Thread:
    now = clock.now()
    return Thread.objects.create(user=user, created_at=now, updated_at=now, state_updated_at=now, **fields)


def make_run(thread: Thread, *epochs: int) -> Run:
    """A run that has ended, with an event of each of these epochs."""
    now = clock.now()
    assistant, _ = Assistant.objects.get_or_create(
        graph_id="agent", defaults={"created_at": now, "updated_at": now}
    )
    run = Run.objects.create(
        thread=thread, assistant=assistant, user_id=thread.user_id, status="success", epoch=epochs[-1], attempt=len(epochs),
        created_at=now, updated_at=now, due_at=now,
    )  # fmt: skip
    for epoch in epochs:
        RunEvent.objects.create(run=run, epoch=epoch, seq=1, event="values", data="{}", created_at=now)
    return run


async def test_in_local_development_the_chat_is_the_local_users_at_once(visitor: AsyncClient) -> None:
    answer = await visitor.get("/chat/")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert f'title="Change the password">{LOCAL_USERNAME}</a>' in page
    assert "csrftoken" in answer.cookies


async def test_whoever_is_not_logged_in_is_sent_to_do_so_and_back(
    visitor: AsyncClient, run_settings: Any
) -> None:
    run_settings(LOCAL_USER=False)
    await in_database(get_user_model().objects.create_user, "ada", password=PASSWORD)
    thread = f"/chat/{uuid4()}/"
    answer = await visitor.get(thread)
    assert answer.status_code == 302
    login = await visitor.get(answer["Location"])
    assert login.status_code == 200
    assert thread in login.content.decode()
    form = {"username": "ada", "password": PASSWORD, "next": thread}
    done = await visitor.post("/login/", form)
    assert (done.status_code, done["Location"]) == (302, thread)
    assert (await visitor.get(thread)).status_code == 200
    assert (await visitor.post("/logout/"))["Location"] == "/login/"
    assert (await visitor.get(thread)).status_code == 302


async def test_the_page_says_whose_it_is_by_what_does_not_change(visitor: AsyncClient, ada: Any) -> None:
    page = (await visitor.get("/chat/")).content.decode()
    found = json.loads(re.findall(r'id="settings"[^>]*>(.*?)</script>', page)[0])
    assert found["user"] == {"id": str(ada.pk), "name": "ada"}


async def test_the_page_knows_the_servers_time_and_limit(visitor: AsyncClient, run_settings: Any) -> None:
    run_settings(BODY_LIMIT=1_000_000)
    before = int(clock.now().timestamp() * 1000)
    page = (await visitor.get("/chat/")).content.decode()
    found = json.loads(re.findall(r'id="settings"[^>]*>(.*?)</script>', page)[0])
    assert before <= found["now"] <= clock.now().timestamp() * 1000
    assert found["bodyLimit"] == 1_000_000


async def test_a_password_is_changed(visitor: AsyncClient, ada: Any) -> None:
    assert (await visitor.get("/password/")).status_code == 200
    new = {"old_password": PASSWORD, "new_password1": "another good one", "new_password2": "another good one"}
    assert (await visitor.post("/password/", new))["Location"] == "/password/changed/"
    assert (await visitor.get("/password/changed/")).status_code == 200
    assert await visitor.alogin(username="ada", password="another good one")


async def test_a_site_may_keep_csrf_tokens_in_sessions(ada: Any, settings: Any) -> None:
    """`CSRF_USE_SESSIONS`: for the chat page's requests, and on the pages of the admin."""
    settings.CSRF_USE_SESSIONS = True
    await in_database(type(ada).objects.filter(pk=ada.pk).update, is_staff=True, is_superuser=True)
    browser = AsyncClient(enforce_csrf_checks=True, headers={"host": "localhost"})
    await browser.aforce_login(ada)
    answer = await browser.get("/chat/")
    assert "csrftoken" not in answer.cookies
    token = token_in(answer.content)
    for given, status in (({}, 403), ({"X-CSRFToken": "a" * 32}, 403), ({"X-CSRFToken": token}, 200)):
        made = await browser.post("/threads", {}, content_type="application/json", headers=given)
        assert made.status_code == status, made.content
    run = await in_database(lambda: make_run(make_thread(ada), 1))
    page = await browser.get(f"/admin/runs/run/{run.pk}/change/")
    acting = {"action": "cancel_runs", "_selected_action": [str(run.pk)]}
    for more, status in (({}, 403), ({"csrfmiddlewaretoken": token_in(page.content)}, 302)):
        acted = await browser.post("/admin/runs/run/", {**acting, **more})
        assert acted.status_code == status, acted.content


def token_in(page: bytes) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.decode())
    assert found is not None
    return found[1]


async def test_the_page_has_nothing_inline_and_finds_the_api_below_a_prefix(visitor: AsyncClient) -> None:
    set_script_prefix("/below/")
    try:
        answer = await visitor.get("/chat/")
    finally:
        clear_script_prefix()
    page = answer.content.decode()
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert not re.search(r"\son\w+=|\sstyle=|<style", page)
    scripts = re.findall(r"<script(.*?)>", page)
    assert scripts
    assert all("src=" in each or 'type="application/json"' in each for each in scripts)
    found = json.loads(re.findall(r'id="settings"[^>]*>(.*?)</script>', page)[0])
    assert (found["api"], found["chat"]) == ("/below/", "/below/chat/")


@pytest.mark.parametrize("allowed", [True, False])
async def test_only_who_may_see_runs_gets_links_to_them(
    visitor: AsyncClient, ada: Any, allowed: bool
) -> None:
    ada.is_staff = ada.is_superuser = allowed
    await in_database(ada.save)
    page = (await visitor.get("/chat/")).content.decode()
    assert (reverse("admin:runs_run_changelist") in page) is allowed


async def test_without_scripts_the_messages_are_text(visitor: AsyncClient, ada: Any) -> None:
    messages = [
        {"type": "human", "content": "What is <b>it</b>?"},
        {"type": "ai", "content": [{"type": "text", "text": "An answer."}, {"type": "image", "url": "x"}]},
    ]
    thread = await in_database(make_thread, ada, values={"messages": messages}, metadata={"title": "Mine"})
    page = (await visitor.get(f"/chat/{thread.id}/plain/")).content.decode()
    assert "What is &lt;b&gt;it&lt;/b&gt;?" in page
    assert "An answer." in page
    assert "<title>Mine</title>" in page


@pytest.mark.parametrize(("status", "shown"), [("interrupted", True), ("busy", False)])
async def test_without_scripts_questions_that_wait_are_shown(
    visitor: AsyncClient, ada: Any, status: str, shown: bool
) -> None:
    messages = [{"type": "human", "content": [{"type": "image"}]}, {"type": "ai", "content": ""}]
    asked = {"task": [{"id": "0" * 32, "value": {"question": "Shall <I> go on?"}}]}
    thread = await in_database(
        make_thread, ada, values={"messages": messages}, interrupts=asked, status=status
    )
    page = (await visitor.get(f"/chat/{thread.id}/plain/")).content.decode()
    assert ("Shall &lt;I&gt; go on?" in page) is shown
    assert page.count("<article") == 1 + shown
    assert "<title>Untitled</title>" in page and "A picture" in page


async def test_what_is_somebody_elses_does_not_exist(visitor: AsyncClient, ada: Any) -> None:
    bob = await in_database(get_user_model().objects.create_user, "bob")
    thread = await in_database(make_thread, bob, values={"messages": []})
    await in_database(make_run, thread, 1)
    await in_database(make_run, thread, 2)
    assert (await visitor.get(f"/chat/{thread.id}/plain/")).status_code == 404
    answer = await visitor.get(f"/chat/{thread.id}/position/?runs=1")
    assert answer.json() == {"since": 0}


async def test_a_page_begins_with_the_first_attempt_of_the_first_run_that_it_shows(
    visitor: AsyncClient, ada: Any
) -> None:
    thread = await in_database(make_thread, ada)
    for epochs in ((1,), (2, 3, 4), (5,)):
        await in_database(make_run, thread, *epochs)

    async def since(runs: str) -> int:
        answer = await visitor.get(f"/chat/{thread.id}/position/?runs={runs}")
        return int(answer.json()["since"])

    assert await since("1") == first_of(5)
    assert await since("2") == first_of(2)
    assert await since("3") == 0
    assert await since("") == 0
    assert await since("x") == 0
    assert await since("0") == first_of(5)


async def test_the_position_needs_somebody_who_asks(visitor: AsyncClient, run_settings: Any) -> None:
    run_settings(LOCAL_USER=False)
    assert (await visitor.get(f"/chat/{uuid4()}/position/")).status_code == 401


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("words", "words"),
        (["one", {"type": "text", "text": "two"}, {"type": "image"}, 3], "one\n\ntwo"),
        (None, ""),
        ({"text": "no list"}, ""),
    ],
)
def test_the_text_of_a_content(content: Any, text: str) -> None:
    assert text_of(content) == text


async def test_runs_are_told_in_pages(visitor: AsyncClient, ada: Any) -> None:
    def make() -> list[Run]:
        thread = make_thread(ada)
        made = make_run(thread, 1)
        copies = [Run(**{**fields_of(made), "id": uuid4(), "epoch": 0}) for _ in range(249)]
        Run.objects.bulk_create(copies)
        # Some have the same time.
        for place, run in enumerate(copies[::2]):
            Run.objects.filter(id=run.id).update(created_at=made.created_at + timedelta(seconds=place))
        return list(Run.objects.filter(thread=thread).order_by("-created_at", "-id"))

    def fields_of(run: Run) -> dict[str, Any]:
        return {field.attname: getattr(run, field.attname) for field in Run._meta.concrete_fields}

    runs = await in_database(make)

    async def told(query: str = "") -> tuple[list[str], bool]:
        page = json.loads((await visitor.get(f"/chat/{runs[0].thread_id}/runs/{query}")).content)
        return [run["run_id"] for run in page["runs"]], page["older"]

    ids = [str(run.id) for run in runs]
    assert await told() == (ids[:200], True)
    assert await told(f"?before={ids[199]}") == (ids[200:], False)
    assert await told(f"?before={ids[249]}") == ([], False)
    assert await told(f"?before={uuid4()}") == ([], False)
    assert (await visitor.get(f"/chat/{runs[0].thread_id}/runs/?before=x")).status_code == 422


async def test_the_runs_say_which_message_each_of_them_brought(visitor: AsyncClient, ada: Any) -> None:
    def make() -> Thread:
        thread = make_thread(ada)
        given: list[tuple[dict[str, Any], Any]] = [
            ({"message_id": "m1", "parent_run_id": ""}, [{"type": "human", "id": "m1", "content": "one"}]),
            ({}, [{"type": "human", "id": "m2", "content": "two"}]),
            ({}, [{"role": "user", "content": [{"type": "text", "text": "x" * 300}]}]),
            ({}, [["user", "four"]]),
            ({}, "five"),
            ({}, None),
        ]
        for metadata, messages in given:
            run = make_run(thread, 1)
            Run.objects.filter(id=run.id).update(metadata=metadata, kwargs={"input": {"messages": messages}})
        return thread

    thread = await in_database(make)
    answer = await visitor.get(f"/chat/{thread.id}/runs/")
    told = [
        (run["parent"], run["message"], run["said"]) for run in reversed(json.loads(answer.content)["runs"])
    ]
    assert told == [
        ("", "m1", None), (None, "m2", None), (None, None, "x" * 200), (None, None, "four"), (None, None, "five"),
        (None, None, None),
    ]  # fmt: skip
    other = await in_database(get_user_model().objects.create_user, "bob", password=PASSWORD)
    await visitor.aforce_login(other)
    nothing = {"runs": [], "older": False}
    assert json.loads((await visitor.get(f"/chat/{thread.id}/runs/")).content) == nothing
    await visitor.alogout()
    assert (await visitor.get(f"/chat/{thread.id}/runs/")).status_code == 401


@pytest.mark.parametrize("path", ["/chat/", "/info", "/threads/search", "/nothing/here"])
async def test_a_site_with_atomic_requests_serves_them_by_djangos_own_handler(
    visitor: AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    answer = await visitor.get(path)
    assert answer.status_code == {"/threads/search": 405, "/nothing/here": 404}.get(path, 200)


@pytest.mark.parametrize(
    "path", ["/chat/", "/login/", "/chat/0ef97b8d-dca3-4843-9ea3-380a7122f3d0/position/"]
)
async def test_the_pages_have_their_policy_without_the_middleware(
    visitor: AsyncClient, settings: Any, path: str
) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "content_security" not in each]
    assert "default-src 'self'" in (await visitor.get(path))["Content-Security-Policy"]
