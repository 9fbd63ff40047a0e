"""What the admin's pages of threads have beside their rows: conversations, histories, forks, deletion."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from runs.admin.thread_page.conversations import sentence
from runs.models import Run, RunAction
from tests.runs.admin.test_run_page import elsewhere
from tests.support.admin_site import page, sign_in, staff
from tests.support.driving import Driver
from tests.support.rows import make_run, make_thread
from threads.db.database import in_database
from threads.models import Thread

THREADS = "/admin/threads/thread/"


def remove(client: Client, *threads: Any, **data: str) -> str:
    body: Any = {"action": "remove_threads", "_selected_action": [each.pk for each in threads], **data}
    return client.post(THREADS, body, follow=True).content.decode()


@pytest.mark.django_db
def test_a_conversation_is_read_as_sentences_without_secrets() -> None:
    said = [
        {"type": "human", "content": "<b>Hello</b>"},
        {
            "type": "ai",
            "content": [{"type": "text", "text": "Wait"}],
            "tool_calls": [{"name": "look", "args": {}}],
        },
        {"type": "tool", "name": "look", "content": "sk-ant-api03-" + "a" * 40},
        "no message",
    ]
    thread = make_thread(
        status="interrupted",
        values={"messages": said},
        interrupts={"t": [{"id": "0" * 32, "value": {"question": "Go on?"}}]},
    )
    html = sign_in(is_superuser=True).get(page(thread)).content.decode()
    said_there = html[html.index('<ol class="conversation">') : html.index("</ol>")]
    for shown in ("<b>Person</b>", "&lt;b&gt;Hello", "Wait\nCalls look.", "<b>Tool look</b>"):
        assert shown in said_there, shown
    assert "a" * 40 not in said_there
    assert "Go on?" in html and "/admin/runs/waiting/" in html
    empty = sign_in(is_superuser=True).get(page(make_thread(values={"messages": "x"}))).content.decode()
    assert '<ol class="conversation">' not in empty


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Is it?", "Is it?"),
        ({"prompt": "Say"}, "Say"),
        ({"action_requests": [{"name": "mail"}, {"name": "post"}]}, "May I run mail, post?"),
        ({"n": 1}, '{"n":1}'),
        ("x" * 5000, "x" * 4000 + "…"),
    ],
)
def test_a_question_is_a_sentence(value: Any, text: str) -> None:
    assert sentence(value) == text


async def test_a_history_shows_what_each_step_changed_and_begins_a_new_run(driver: Driver) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    address = f"{THREADS}{run.thread_id}/states/"
    response = await asyncio.to_thread(elsewhere, client.get, address)
    html = response.content.decode()
    states = response.context["states"]
    assert states[0]["next"] == ""
    assert {"key": "log", "lines": [("add", "s9")]} in states[0]["changes"]
    assert "<ins" in html and "Continue from here" in html
    assert await Run.objects.acount() == 1
    point = next(each for each in states if each["step"] == 8)
    body = {"checkpoint": point["id"], "values": '{"log": ["edited"]}', "reason": "try this"}
    begun = await asyncio.to_thread(elsewhere, client.post, f"{THREADS}{run.thread_id}/fork/", body)
    new = await Run.objects.exclude(id=run.id).aget()
    assert begun.status_code == 302 and begun["location"] == f"/admin/runs/run/{new.id}/change/"
    row = await driver.finish(new)
    assert row.thread.values["log"][-3:] == ["edited", "s8", "s9"]
    assert (await RunAction.objects.aget(run_id=run.id, kind="fork")).reason == "try this"


async def test_the_history_of_a_graph_that_is_gone_says_so(driver: Driver) -> None:
    thread = await in_database(make_thread, metadata={"graph_id": "gone"})
    client = await in_database(sign_in, is_superuser=True)
    response = await asyncio.to_thread(elsewhere, client.get, f"{THREADS}{thread.id}/states/")
    assert "The states cannot be read: " in response.content.decode()
    assert "it has no run" in response.content.decode()


@pytest.mark.django_db
def test_a_fork_that_cannot_be_says_why() -> None:
    run = make_run("success", thread=make_thread())
    client, address = sign_in(is_superuser=True), f"{THREADS}{run.thread_id}/fork/"
    assert client.get(address).status_code == 405
    assert client.get(f"{THREADS}{uuid4()}/states/").status_code == 404
    for given, why in (
        ({"checkpoint": "x", "values": "{"}, "the state is no JSON"),
        ({"checkpoint": "x", "values": "[" * 200_000}, "the state is no JSON"),
        ({"values": ""}, "UUID"),
    ):
        client.post(address, given)
        shown = client.get(THREADS).content.decode()
        assert why in shown
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("run_settings")
def test_threads_are_deleted_after_a_question_with_everything() -> None:
    run, kept = make_run("running"), make_thread()
    client = staff("view_thread", "delete_thread")
    asked = remove(client, run.thread)
    assert "1 thread will be deleted" in asked
    assert Thread.objects.count() == 2
    assert "1 threads" in remove(client, run.thread, confirmed="yes")
    assert list(Thread.objects.all()) == [kept]
    assert not Run.objects.exists()
    assert LogEntry.objects.get().object_id == str(run.thread_id)
    remove(staff("view_thread", "operate_run"), kept, confirmed="yes")
    assert Thread.objects.filter(id=kept.id).exists()
