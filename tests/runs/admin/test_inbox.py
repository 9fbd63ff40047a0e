"""The admin's inbox."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from runs.models import Run, RunAction
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_run, make_thread
from threads.db import clock

INBOX = "/admin/runs/waiting/"
QUESTION = "0" * 32

pytestmark = pytest.mark.django_db


def ask(value: Any = "Is it fine?", *, age: float = 0.0, **fields: Any) -> Run:
    """A run that stopped at a question `age` seconds ago."""
    moment = clock.now() - timedelta(seconds=age)
    thread = make_thread(
        status="interrupted", interrupts={"task": [{"id": QUESTION, "value": value}]}, **fields
    )
    type(thread).objects.filter(pk=thread.pk).update(state_updated_at=moment)
    return make_run("success", thread=thread)


def items(client: Client) -> Any:
    response = client.get(f"{INBOX}items/")
    assert response.status_code == 200
    return response.json()


def test_what_waits_is_listed_oldest_first_with_its_newest_run() -> None:
    new, old = ask(age=60), ask({"api_key": "canary"}, age=7200, metadata={"title": "Hosts"})
    again = make_run("success", thread=old.thread)
    make_run("success", thread=make_thread(status="interrupted"))  # stopped at a breakpoint
    make_run("success", thread=make_thread(status="idle", interrupts={"t": [{"id": QUESTION, "value": 1}]}))
    ask(discarded_at=clock.now())
    found = items(sign_in(is_superuser=True))
    assert [each["run"]["id"] for each in found["items"]] == [str(again.id), str(new.id)]
    assert (found["more"], found["missing"]) == (False, "")
    assert found["items"][0]["title"] == "Hosts"
    assert found["items"][0]["questions"] == [{"id": QUESTION, "value": {"api_key": "***"}}]
    assert found["items"][1]["user"] == new.user.username


def test_an_answer_continues_the_thread_and_leaves_the_inbox() -> None:
    run, client = ask(), staff("view_thread", "view_run", "view_run_payload", "operate_run")
    (found,) = items(client)["items"]
    body = {"action": "answer", "answers": {QUESTION: "yes"}, "reason": "asked by phone"}
    response = client.post(found["act"], json.dumps(body), content_type="application/json")
    assert response.status_code == 200, response.content
    new = Run.objects.get(id=response.json()["run"])
    assert (new.parent_id, new.kwargs["command"]) == (run.id, {"resume": {QUESTION: "yes"}})
    assert not items(client)["items"]
    assert RunAction.objects.get(run_id=run.id, kind="answer").reason == "asked by phone"


def test_who_may_not_read_sees_that_somebody_waits_but_not_for_what() -> None:
    run = ask(metadata={"title": "Hosts"})
    found = items(staff("view_thread", "operate_run"))
    assert (found["items"][0]["questions"], found["items"][0]["title"], found["items"][0]["count"]) == (
        [],
        "",
        1,
    )
    assert found["missing"] == "the permission runs.view_run_payload"
    assert not RunAction.objects.filter(run_id=run.id).exists()


def test_the_page_is_bounded_and_takes_as_many_queries_for_many(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr("runs.admin.inbox.MOST", 5)
    for _ in range(7):
        ask()
    client = sign_in(is_superuser=True)
    with django_assert_max_num_queries(8):
        found = items(client)
    assert (len(found["items"]), found["more"]) == (5, True)
    assert RunAction.objects.filter(kind="read").count() == 5
    items(client)
    assert RunAction.objects.filter(kind="read").count() == 5


def test_the_empty_inbox_opens() -> None:
    response = staff("view_thread").get(INBOX)
    assert response.status_code == 200
    assert b'"items": []' in response.content
