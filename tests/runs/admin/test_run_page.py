"""The data of a run's page, its permissions and its actions."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.test import Client

from runs.encoding import encode
from runs.models import Run, RunAction, RunEvent
from runs.protocols.agent.items import PACK
from runs.protocols.differences import differences
from runs.protocols.readable import lines
from runs.protocols.spans import Entry
from tests.support.admin_site import page, sign_in, staff
from tests.support.driving import Driver
from tests.support.rows import make_events, make_run, make_thread
from threads.db.database import in_database

VIEWS = ("facts", "spans", "step", "events", "export", "graph", "compare", "act", "transcript")
#: The permission that each part needs beside that to view runs.
NEEDS = {
    "step": "view_run_payload", "events": "view_run_payload", "export": "view_run_payload",
    "transcript": "view_run_payload", "compare": "view_run_payload", "act": "operate_run",
}  # fmt: skip


def part(client: Client, run: Run, name: str, **query: Any) -> Any:
    response = client.get(f"/admin/runs/run/{run.pk}/page/{name}/", query)
    assert response.status_code == 200, response.content
    return response.json()


def act(client: Client, run: Run, **body: Any) -> Any:
    return client.post(
        f"/admin/runs/run/{run.pk}/page/act/", json.dumps(body), content_type="application/json"
    )


def elsewhere(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a view as a server does: not on a database thread, which the view itself waits for."""
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()


@pytest.fixture
def root(db: None) -> Client:
    return sign_in(is_superuser=True)


@pytest.mark.django_db
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize(
    "granted", [(), ("view_run",), ("view_run", "view_run_payload"), ("view_run", "operate_run")]
)
def test_each_part_needs_its_permissions(name: str, granted: tuple[str, ...]) -> None:
    run = make_run("success")
    client = staff(*granted)
    allowed = "view_run" in granted and NEEDS.get(name, "view_run") in granted
    response = client.get(f"/admin/runs/run/{run.pk}/page/{name}/")
    if allowed:
        assert response.status_code in (200, 400, 405)
    else:
        assert response.status_code == 403
        assert response.json()["detail"].startswith("You need the permission runs.")
    stranger = Client().get(f"/admin/runs/run/{run.pk}/page/{name}/")
    assert stranger.status_code == 302
    assert "login" in stranger["location"]


@pytest.mark.django_db
def test_the_page_shows_payloads_only_to_those_who_may_read_them() -> None:
    run = make_run("success", kwargs={"input": {"secret-plan": 1}, "stream_mode": ["values"]})
    make_events(run, 1, data='{"secret-plan": 1}')
    shown = staff("view_run").get(page(run)).content.decode()
    assert "secret-plan" not in shown
    assert "secret-plan" in staff("view_run", "view_run_payload").get(page(run)).content.decode()


@pytest.mark.django_db
def test_reading_a_payload_is_on_record_once_an_hour(root: Client) -> None:
    run = make_run("success")
    for _ in range(2):
        part(root, run, "events")
    part(root, run, "facts")
    assert list(RunAction.objects.filter(run_id=run.id).values_list("kind", "origin")) == [("read", "admin")]


@pytest.mark.django_db
def test_an_unknown_run_is_not_found(root: Client) -> None:
    assert root.get(f"/admin/runs/run/{uuid4()}/page/facts/").status_code == 404


@pytest.mark.django_db
def test_the_facts_say_why_an_action_cannot_be_taken(root: Client) -> None:
    run = make_run("error", thread=make_thread(), error={"error": "KeyError", "message": "'x'"})
    found = part(root, run, "facts")
    assert found["actions"]["cancel"] == "the run has ended (error)"
    assert found["actions"]["retry"] == ""
    assert found["error"]["error"] == "KeyError"
    viewer = part(staff("view_run"), run, "facts")
    assert set(viewer["actions"].values()) == {"you may not operate runs"}
    assert viewer["failure"] is None


@pytest.mark.django_db
def test_an_action_has_the_operator_and_the_reason_on_record(root: Client) -> None:
    run = make_run("pending")
    assert act(root, run, action="priority", priority="high").status_code == 400
    response = act(root, run, action="priority", priority=9, reason="it is urgent")
    assert response.status_code == 200, response.content
    record = RunAction.objects.get(run_id=run.id, kind="priority")
    assert (record.reason, record.origin, record.outcome) == ("it is urgent", "admin", "priority 0 became 9")
    said = LogEntry.objects.get(object_id=str(run.pk)).change_message
    assert said == "priority: priority 0 became 9 (it is urgent)"
    assert act(root, run, action="dance").status_code == 400
    assert (
        act(root, run, action="requeue")
        .json()["detail"]
        .startswith("This cannot be done: only a running run")
    )
    assert root.get(f"/admin/runs/run/{run.pk}/page/act/").status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[1]", 400),
        (b"{", 400),
        (b"[" * 200_000, 400),
        (b'{"action": "priority", "priority": 1, "reason": "\\ud800"}', 400),
        (b'{"action": "priority", "priority": 1, "reason": "a\\u0000b"}', 200),
    ],
)
def test_an_action_of_any_body_is_answered(root: Client, body: bytes, status: int) -> None:
    run = make_run("pending")
    address = f"/admin/runs/run/{run.pk}/page/act/"
    assert root.post(address, body, content_type="application/json").status_code == status


@pytest.mark.django_db
def test_events_are_unpacked_filtered_and_paged(root: Client) -> None:
    run = make_run("success")
    task = ["tasks", [], 5, {"id": "T", "name": "plan", "input": {"api_key": "abc"}, "triggers": []}]
    log = ["log", [], 6, {"level": "INFO", "logger": "shop", "message": "hello"}]
    make_events(run, 1, event=PACK, data=encode([task, log]))
    found = part(root, run, "events", data="1")
    assert [(line["kind"], line["text"]) for line in found["lines"]] == [
        ("node", "plan begins"),
        ("log", "INFO shop: hello"),
    ]
    assert found["lines"][0]["id"] == f"{found['last']}.1"
    assert found["lines"][0]["data"]["input"] == {"api_key": "***"}
    assert [line["kind"] for line in part(root, run, "events", kind="log")["lines"]] == ["log"]
    assert not part(root, run, "events", after=found["last"])["lines"]
    assert not part(root, run, "events", before=found["first"])["lines"]
    assert not part(root, run, "events", namespace="other:1")["lines"]
    assert len(part(root, run, "events", namespace=".")["lines"]) == 2
    assert root.get(f"/admin/runs/run/{run.pk}/page/events/", {"after": "x"}).status_code == 400


@pytest.mark.django_db
def test_a_log_that_is_being_removed_is_not_shown_as_a_whole_one(root: Client) -> None:
    run = make_run("success", event_count=3)
    make_events(run, 3)
    assert not part(root, run, "events")["removed"]
    RunEvent.objects.filter(run=run, seq=3).delete()
    assert part(root, run, "events")["removed"]


def test_the_transcript_has_the_messages_of_the_last_state(root: Client) -> None:
    run = make_run("success")
    assert part(root, run, "transcript") == {"messages": [], "before": 0}
    said = [{"type": "human", "content": str(number), "api_key": "abc"} for number in range(201)]
    state = {"other": [1], "messages": said, "plan": [{"type": "todo"}]}
    make_events(run, 1, event="values", data=encode(state))
    found = part(root, run, "transcript")
    assert [each["content"] for each in found["messages"]] == [str(number) for number in range(1, 201)]
    assert found["messages"][0]["api_key"] == "***"
    assert found["before"] == 1


@pytest.mark.django_db
def test_a_long_log_is_paged_in_both_directions(root: Client) -> None:
    run = make_run("success")
    make_events(run, 450, event="custom", data='{"step": 1}')
    seen: list[str] = []
    query: dict[str, str] = {}
    while True:
        found = part(root, run, "events", **query)
        seen = [line["id"] for line in found["lines"]] + seen
        if not found["more"]:
            break
        query = {"before": found["first"]}
    forwards: list[str] = []
    query = {"after": "0-0"}
    while True:
        found = part(root, run, "events", **query)
        forwards += [line["id"] for line in found["lines"]]
        if not found["more"]:
            break
        query = {"after": found["last"]}
    assert len(set(seen)) == 450
    assert seen == forwards


async def test_the_page_of_a_real_run(driver: Driver) -> None:
    run = await driver.start("failing", {"log": ["given"]})
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    found = await in_database(part, client, run, "facts")
    assert found["failure"]["node"] == "boom"
    assert [(each["number"], each["reason"]) for each in found["attempts"]] == [(1, "error")]
    spans = (await in_database(part, client, run, "spans"))["spans"]
    named = {span["name"]: span for span in spans}
    assert named["boom"]["status"] == "failed"
    assert named["before"]["status"] == "done"
    asked = {name: named["before"][name] for name in ("begin", "end")}
    step = await in_database(part, client, run, "step", span=named["before"]["id"], **asked)
    assert step["input"] == {"log": ["given"]}
    assert step["output"] == {"log": ["before"]}
    (changed,) = step["difference"]
    assert (changed["key"], changed["op"]) == ("log", "change")
    assert [each["after"] for each in changed["items"]] == ["before"]
    failed = await in_database(part, client, run, "step", span=named["boom"]["id"])
    assert "kaboom" in failed["traceback"]
    graph = await in_database(part, client, run, "graph")
    assert {"id": "boom"} in graph["nodes"]


async def test_a_fork_with_an_edited_state_and_a_comparison(driver: Driver) -> None:
    run = await driver.start("steps", {"log": []})
    await driver.finish(run)
    client = await in_database(sign_in, is_superuser=True)
    lines_of = await in_database(part, client, run, "events", data="1")
    points = [
        line["data"] for line in lines_of["lines"] if line["kind"] == "saved" and line["data"].get("id")
    ]
    point = next(each for each in points if each["step"] == 8)
    body = {"action": "fork", "checkpoint": {"checkpoint_id": point["id"]}, "values": {"log": ["edited"]}}
    response = await asyncio.to_thread(elsewhere, act, client, run, **body, reason="try this")
    assert response.status_code == 200, response.content
    new = Run(id=response.json()["run"])
    row = await driver.finish(new)
    assert row.status == "success"
    assert row.thread.values["log"][-3:] == ["edited", "s8", "s9"]
    compared = await in_database(part, client, run, "compare", **{"with": str(new.id)})
    assert [each["key"] for each in compared["difference"]] == ["log"]
    assert compared["outputs"] == []
    again = await in_database(part, client, row, "facts")
    assert again["parent"][0]["id"] == str(run.id)
    assert again["by"]["kind"] == "admin"


@pytest.mark.django_db
def test_two_runs_are_compared_by_what_their_steps_gave(root: Client) -> None:
    runs = []
    for price in (10, 12):
        runs.append(run := make_run("success"))
        result = {"price": price, "api_key": f"canary-{price}"}
        item = ["tasks", [], 1, {"id": "t", "name": "quote", "result": result}]
        make_events(run, 1, event=PACK, data=f"[{encode(item)}]")
    found = part(root, runs[0], "compare", **{"with": str(runs[1].id)})
    (quote,) = found["outputs"]
    assert quote["step"] == "quote"
    assert [(each["key"], each["before"], each["after"]) for each in quote["difference"]] == [
        ("price", "10", "12")
    ]
    assert "canary" not in str(found)


async def test_the_tokens_and_the_cost_of_a_real_run(driver: Driver, settings: Any) -> None:
    run = await driver.start("talking", {"messages": [{"type": "human", "content": "hello"}], "tokens": 3})
    row = await driver.finish(run)
    ((model, counted),) = row.usage.items()
    assert counted == [row.input_tokens, row.output_tokens]
    assert sum(counted) > 0
    client = await in_database(sign_in, is_superuser=True)
    without = await in_database(part, client, run, "facts")
    assert without["usage"]["cost"] is None
    assert [each["name"] for each in without["usage"]["models"]] == [model]
    settings.RUNS = {**settings.RUNS, "MODEL_PRICES": {model: (500_000, 500_000)}}
    total = f"{sum(counted) / 2:,.2f}"
    assert (await in_database(part, client, run, "facts"))["usage"]["cost"] == total
    spans = (await in_database(part, client, run, "spans"))["spans"]
    # The call, the node in which it was made, and the attempt.
    assert {span["kind"]: span["detail"].get("cost") for span in spans} == {
        "attempt": total, "node": total, "model": total,
    }  # fmt: skip


def test_differences_know_messages() -> None:
    one = {"id": "1", "type": "human", "content": "hi"}
    two = {"id": "2", "type": "ai", "content": "", "tool_calls": [{"name": "look", "args": {"q": 1}}]}
    found = differences({"messages": [one], "n": 1, "gone": 0}, {"messages": [one, two], "n": 2, "new": "x"})
    assert [(each["key"], each["op"]) for each in found] == [
        ("messages", "change"), ("n", "change"), ("new", "add"), ("gone", "remove"),
    ]  # fmt: skip
    assert found[0]["items"] == [
        {"id": "2", "op": "add", "type": "ai", "before": None, "after": '→ look({"q":1})'}
    ]
    assert [each["after"] for each in differences({"n": [1]}, {"n": [1, 2, "x"]})[0]["items"]] == ["2", "x"]
    assert differences({"n": [1]}, {"n": [2]})[0]["after"] == "[2]"
    assert differences(None, {"a": 1})[0]["op"] == "add"
    assert not differences({"a": 1}, {"a": 1})


@pytest.mark.parametrize(
    ("mode", "data", "kind", "text"),
    [
        ("metadata", {"attempt": 2}, "run", "attempt 2 begins"),
        ("error", {"error": "E", "message": "m"}, "error", "E: m"),
        ("tasks", {"name": "n", "result": {}, "error": "boom"}, "error", "n failed: boom"),
        ("tasks", {"name": "n", "result": {}, "interrupts": [1]}, "question", "n asks a person"),
        ("messages", [{"content": [{"type": "text", "text": "a\nb"}]}, {}], "token", "“a b”"),
        ("messages", {"tool_calls": [{"name": "look"}]}, "token", "calls look"),
        ("updates", {"n": {"a": 1}}, "state", "n: a"),
        ("updates", {"__interrupt__": []}, "question", "the run stops at a question"),
        ("checkpoints", {"step": 3}, "saved", "step 3"),
        ("tools", {"event": "tool-error", "message": "no"}, "error", "tool failed: no"),
        ("model", {"event": "end", "usage": {"total_tokens": 7}}, "model", "model done, 7 tokens"),
        ("debug", {"a": 1}, "other", 'debug: {"a":1}'),
        ("values", None, "other", "values: null"),
    ],
)
def test_entries_are_sentences(mode: str, data: Any, kind: str, text: str) -> None:
    (line,) = lines(Entry(1, 2, mode, encode(data), 5))
    assert (line.id, line.kind, line.text) == ("1-2", kind, text)
