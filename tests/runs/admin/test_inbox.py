"""The admin's inbox."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from runs.models import Run, RunAction
from tests.support.admin_site import sign_in, staff
from tests.support.rows import make_assistant, make_run, make_thread
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


def items(client: Client, **parameters: str) -> Any:
    response = client.get(f"{INBOX}items/", parameters)
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
    assert (found["next"], found["missing"]) == (None, "")
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
    assert (len(found["items"]), found["next"] is not None) == (5, True)
    assert RunAction.objects.filter(kind="read").count() == 5
    items(client)
    assert RunAction.objects.filter(kind="read").count() == 5


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_pages_reach_every_thread_once_in_their_order(monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setattr("runs.admin.inbox.MOST", 2)
    # Two at the same moment, which the id tells apart.
    moment = clock.now() - timedelta(hours=9)
    runs = [ask(age=age) for age in (30, 3600, 7200, 10800, 14400)]
    type(runs[3].thread).objects.filter(pk__in=[run.thread_id for run in runs[3:]]).update(
        state_updated_at=moment
    )
    client = sign_in(is_superuser=True)
    seen: list[str] = []
    after = ""
    for _ in range(3):
        found = items(client, order=order, after=after)
        assert found["first"] == (after == "")
        seen += [each["run"]["id"] for each in found["items"]]
        after = found["next"]
    assert after is None
    first, second = sorted(runs[3:], key=lambda run: run.thread_id)
    oldest_first = [str(run.id) for run in (first, second, runs[2], runs[1], runs[0])]
    assert seen == (oldest_first if order == "oldest" else oldest_first[::-1])


def test_what_waits_is_filtered_by_user_and_by_the_assistant_that_asked() -> None:
    mine, other = ask(), ask()
    talking = make_run("success", thread=ask().thread, assistant=make_assistant("talking"))
    client = sign_in(is_superuser=True)

    def found(**parameters: str) -> set[str]:
        return {each["run"]["id"] for each in items(client, **parameters)["items"]}

    assert found(user=mine.user.username) == {str(mine.id)}
    assert found(assistant="talking") == {str(talking.id)}
    assert found(assistant="steps", order="newest") == {str(mine.id), str(other.id)}
    assert found(assistant="talking", user=mine.user.username) == set()
    assert found(user="\x00nobody") == set()
    everything = {str(run.id) for run in (mine, other, talking)}
    for wrong in ("x", "1-2", "9" * 30 + "-" + "0" * 32, f"{'9' * 17}-{'0' * 31}"):
        assert found(after=wrong, order="sideways") == everything
    assert b'"talking"' in client.get(INBOX, {"assistant": "talking"}).content


def test_the_empty_inbox_opens() -> None:
    response = staff("view_thread").get(INBOX)
    assert response.status_code == 200
    assert b'"items": []' in response.content
