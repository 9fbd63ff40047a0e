"""Crons over HTTP, by the stock client."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from runs.models import Cron
from runs.process.current import ring
from runs.process.wakeups import CRONS
from tests.runs.api.routes.test_streams import new_thread
from tests.support.receiver import ALLOWED, receiving
from threads.db import clock
from threads.db.database import in_database

MISSING = "33333333-3333-4333-8333-333333333333"
YEARLY = {"assistant_id": "sleeping", "schedule": "0 0 1 1 *", "input": {"log": []}}
FIELDS = [
    "cron_id", "assistant_id", "thread_id", "user_id", "end_time", "schedule", "timezone", "payload", "next_run_date",
    "metadata", "on_run_completed", "enabled", "created_at", "updated_at",
]  # fmt: skip


async def test_a_cron_has_the_shape_that_clients_know(sdk: LangGraphClient) -> None:
    cron = await sdk.crons.create(
        "sleeping", schedule="0 0 1 1 *", input={"log": []}, metadata={"q": 1}, config={"tags": ["t"]}
    )
    assert list(cron) == FIELDS
    assert (cron["thread_id"], cron["end_time"], cron["timezone"]) == (None, None, None)
    assert (cron["on_run_completed"], cron["enabled"], cron["metadata"]) == ("delete", True, {"q": 1})
    assert cron["payload"] == {
        "assistant_id": "sleeping",
        "schedule": "0 0 1 1 *",
        "input": {"log": []},
        "metadata": {"q": 1},
        "config": {"tags": ["t"], "configurable": {"cron_id": cron["cron_id"]}},
    }
    next_run = datetime.fromisoformat(str(cron["next_run_date"]))
    assert (next_run.month, next_run.day, next_run.utcoffset()) == (1, 1, timedelta())
    assert await sdk.crons.search() == [cron]


async def test_a_cron_may_say_its_context_by_either_name(sdk: LangGraphClient) -> None:
    cron = await sdk.crons.create("sleeping", schedule="0 0 1 1 *", input={"log": []}, context={"k": 1})
    name = cron["cron_id"]
    assert (cron["payload"]["context"], cron["payload"]["config"]) == (
        {"k": 1},
        {"configurable": {"cron_id": name}},
    )
    by_config = await sdk.crons.update(name, config={"configurable": {"k": 2}})
    assert "context" not in by_config["payload"]
    assert by_config["payload"]["config"] == {"configurable": {"k": 2, "cron_id": name}}
    by_context = await sdk.crons.update(name, context={"k": 3})
    assert (by_context["payload"]["context"], by_context["payload"]["config"]) == (
        {"k": 3},
        {"configurable": {"cron_id": name}},
    )


async def test_a_cron_on_a_thread_belongs_to_it(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    cron = await sdk.crons.create_for_thread(
        thread, "sleeping", schedule="*/5 * * * *", timezone="Europe/Berlin", enabled=False
    )
    assert (cron["thread_id"], cron["on_run_completed"], cron["enabled"]) == (thread, None, False)
    assert cron["timezone"] == "Europe/Berlin"


async def test_crons_are_found_sorted_counted_and_selected(
    http: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    first = await sdk.crons.create("sleeping", schedule="0 0 1 1 *", metadata={"a": 1})
    second = await sdk.crons.create("steps", schedule="0 0 1 6 *", enabled=False, metadata={"a": 2})
    third = await sdk.crons.create_for_thread(thread, "sleeping", schedule="0 0 1 3 *")

    async def ids(**search: Any) -> list[str]:
        return [cron["cron_id"] for cron in await sdk.crons.search(**search)]

    every = [third["cron_id"], second["cron_id"], first["cron_id"]]
    assert await ids() == every
    assert await ids(sort_by="created_at", sort_order="asc") == every[::-1]
    assert await ids(assistant_id=second["assistant_id"]) == [second["cron_id"]]
    assert await ids(thread_id=thread) == [third["cron_id"]]
    assert await ids(enabled=False) == [second["cron_id"]]
    assert await ids(metadata={"a": 1}) == [first["cron_id"]]
    assert (await sdk.crons.count(), await sdk.crons.count(thread_id=thread)) == (3, 1)
    assert await sdk.crons.count(metadata={"a": 2}) == 1
    by_date = await sdk.crons.search(sort_by="next_run_date", sort_order="asc", select=["next_run_date"])
    assert [list(cron) for cron in by_date] == [["next_run_date"]] * 3
    assert by_date == sorted(by_date, key=lambda cron: str(cron["next_run_date"]))
    for sort_by in ("cron_id", "assistant_id", "thread_id", "end_time", "updated_at"):
        assert sorted(await ids(sort_by=sort_by)) == sorted(every)
    answer = await http.post("/runs/crons/search", json={"limit": 1, "offset": 1})
    assert [cron["cron_id"] for cron in answer.json()] == [second["cron_id"]]
    assert (answer.headers["x-pagination-total"], answer.headers["x-pagination-next"]) == ("3", "2")


async def test_a_crons_secrets_are_shown_to_nobody(http: httpx.AsyncClient) -> None:
    config = {"configurable": {"api_key": "canary", "plain": 1}}
    made = await http.post("/runs/crons", json={**YEARLY, "config": config})
    cron = made.json()
    assert cron["payload"]["config"]["configurable"]["plain"] == 1
    answers = [made, await http.post("/runs/crons/search", json={})]
    answers.append(await http.get(f"/runs/crons/{cron['cron_id']}"))
    answers.append(await http.patch(f"/runs/crons/{cron['cron_id']}", json={"enabled": False}))
    assert not [each.text for each in answers if "canary" in each.text or each.status_code != 200]
    kept = await in_database(Cron.objects.get, id=cron["cron_id"])
    assert kept.payload["config"]["configurable"]["api_key"] == "canary"


@pytest.mark.parametrize("config", [{"configurable": [1]}, {"configurable": "x"}, {"tags": 1}])
async def test_a_change_that_cannot_be_is_refused(http: httpx.AsyncClient, config: Any) -> None:
    cron = (await http.post("/runs/crons", json=YEARLY)).json()
    refused = await http.patch(f"/runs/crons/{cron['cron_id']}", json={"config": config})
    assert refused.status_code == 422
    assert (await http.get(f"/runs/crons/{cron['cron_id']}")).json() == cron


@pytest.mark.parametrize("number", [6_000, 9_999])
async def test_a_change_whose_result_is_too_large_is_refused_and_changes_nothing(
    http: httpx.AsyncClient, number: int
) -> None:
    created = await http.post("/runs/crons", json={**YEARLY, "metadata": values("a", number)})
    path = f"/runs/crons/{created.json()['cron_id']}"
    changed = await http.patch(path, json={"metadata": values("b", number)})
    assert (changed.status_code, changed.json()["detail"].startswith("metadata: ")) == (422, True)
    assert (await in_database(Cron.objects.get)).metadata == values("a", number)


async def test_a_configuration_that_is_too_large_with_the_servers_own_names_is_refused(
    http: httpx.AsyncClient,
) -> None:
    body = {**YEARLY, "config": {"configurable": values("a", 9_999)}}
    refused = await http.post("/runs/crons", json=body)
    assert (refused.status_code, refused.json()["detail"].startswith("config")) == (422, True)
    assert await in_database(Cron.objects.count) == 0


def values(prefix: str, number: int) -> dict[str, int]:
    return {f"{prefix}{each}": each for each in range(number)}


async def test_a_cron_is_changed_in_part(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    cron = await sdk.crons.create(
        "sleeping", schedule="0 0 1 1 *", input={"log": []}, metadata={"a": 1}, end_time=datetime(2090, 1, 1)
    )
    path = f"/runs/crons/{cron['cron_id']}"
    assert cron["end_time"] == "2090-01-01T00:00:00+00:00"
    again: Any = {"log": ["x"]}
    changed = await sdk.crons.update(
        cron["cron_id"], schedule="0 1 * * *", input=again, metadata={"b": 2}, enabled=False
    )
    assert changed["payload"]["input"] == {"log": ["x"]}
    assert changed["payload"]["config"] == {"configurable": {"cron_id": cron["cron_id"]}}
    assert changed["metadata"] == changed["payload"]["metadata"] == {"a": 1, "b": 2}
    assert (changed["enabled"], changed["schedule"]) == (False, "0 1 * * *")
    assert str(changed["next_run_date"])[11:] == "01:00:00+00:00"
    assert changed["updated_at"] > cron["updated_at"]
    cleared = (await http.patch(path, json={"end_time": None, "schedule": None})).json()
    assert (cleared["end_time"], cleared["schedule"]) == (None, "0 1 * * *")
    over = (await http.patch(path, json={"end_time": "2001-01-01T00:00:00Z"})).json()
    assert over["next_run_date"] is None
    assert (await http.get(path)).json() == over
    for empty in ({}, {"unknown": 1}, {"schedule": None}):
        answer = await http.patch(path, json=empty)
        assert (answer.status_code, answer.json()["detail"]) == (400, "Request body cannot be empty")


async def test_a_deleted_cron_is_gone(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    cron = await sdk.crons.create("sleeping", schedule="0 0 1 1 *")
    await sdk.crons.delete(cron["cron_id"])
    for method in ("GET", "PATCH", "DELETE"):
        answer = await http.request(method, f"/runs/crons/{cron['cron_id']}", json={"enabled": True})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert await sdk.crons.count() == 0


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"schedule": None}, 422, "schedule is required."),
        ({"assistant_id": None}, 422, "assistant_id is required."),
        ({"schedule": "zzz"}, 422, "Invalid cron schedule: 'zzz'. Reason: "),
        ({"schedule": 5}, 422, "schedule: input should be a valid string."),
        ({"timezone": "Mars"}, 422, "Invalid timezone: 'Mars'."),
        ({"end_time": "soon"}, 422, "end_time: input should be a valid datetime"),
        ({"end_time": "0001-01-01T00:00:00+14:00"}, 422, "end_time: is no time that this server knows."),
        ({"enabled": "maybe"}, 422, "enabled: input should be a valid boolean"),
        ({"on_run_completed": "x"}, 422, "on_run_completed: input should be 'delete' or 'keep'."),
        ({"stream_mode": "x"}, 422, "stream_mode.0: input should be "),
        ({"assistant_id": "nope"}, 422, "Invalid assistant: 'nope'."),
        ({"assistant_id": MISSING}, 404, "Thread or assistant not found."),
        ({"webhook": "http://example.com"}, 422, "webhook must be a URL of https."),
        ({"config": {"configurable": {"a": 1}}, "context": {"b": 1}}, 400, "Cannot specify both"),
        ({"config": {"recursion_limit": 0}}, 422, "config.recursion_limit must be"),
    ],
)
async def test_a_cron_that_cannot_be_is_refused_and_changes_nothing(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, detail: str
) -> None:
    thread = await new_thread(http)
    kept = (await http.post("/runs/crons", json=YEARLY)).json()
    for path in ("/runs/crons", f"/threads/{thread}/runs/crons"):
        answer = await http.post(path, json={**YEARLY, **body})
        assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (status, detail)
    changes = {name: value for name, value in body.items() if value is not None and name != "assistant_id"}
    if changes:
        answer = await http.patch(f"/runs/crons/{kept['cron_id']}", json=changes)
        assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (status, detail)
    assert (await http.post("/runs/crons/search", json={})).json() == [kept]


async def test_what_is_not_the_callers_does_not_exist(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    thread = await new_thread(http)
    cron = (await http.post("/runs/crons", json=YEARLY)).json()
    path = f"/runs/crons/{cron['cron_id']}"
    for method in ("GET", "PATCH", "DELETE"):
        assert (await stranger.request(method, path, json={"enabled": False})).status_code == 404
    assert (await stranger.post(f"/threads/{thread}/runs/crons", json=YEARLY)).status_code == 404
    assert (await http.post(f"/threads/{MISSING}/runs/crons", json=YEARLY)).status_code == 404
    assert (await stranger.post("/runs/crons/search", json={})).json() == []
    assert (await stranger.post("/runs/crons/count", json={})).json() == 0
    assert (await http.get(path)).json() == cron


@pytest.mark.parametrize("search", [{"limit": 0}, {"offset": -1}, {"sort_by": "x"}, {"select": ["x"]}])
async def test_a_search_that_cannot_be_is_refused(http: httpx.AsyncClient, search: dict[str, Any]) -> None:
    assert (await http.post("/runs/crons/search", json=search)).status_code == 422


async def test_no_id_is_a_clear_error(http: httpx.AsyncClient) -> None:
    answer = await http.get("/runs/crons/x")
    assert (answer.status_code, answer.json()["detail"]) == (422, "Invalid cron ID: must be a UUID")


async def test_a_due_cron_runs_and_tells_its_webhook(sdk: LangGraphClient, run_settings: Any) -> None:
    run_settings(**ALLOWED)
    with receiving() as receiver:
        cron = await sdk.crons.create(
            "sleeping",
            schedule="* * * * *",
            input={"log": []},
            metadata={"from": "cron"},
            webhook=receiver.url,
            on_run_completed="keep",
        )
        overdue = clock.now() - timedelta(seconds=1)
        await in_database(Cron.objects.filter(id=cron["cron_id"]).update, next_run_date=overdue)
        ring(CRONS)
        async with asyncio.timeout(20):
            while not receiver.received:
                await asyncio.sleep(0.01)
    told = receiver.received[0].json
    assert (told["status"], told["values"]) == ("success", {"log": ["sleep"]})
    assert told["metadata"]["cron_id"] == cron["cron_id"]
    found = await sdk.threads.get(told["thread_id"])
    assert found["metadata"]["from"] == "cron"
    after = await sdk.crons.search()
    assert datetime.fromisoformat(str(after[0]["next_run_date"])) > datetime.now(UTC)


async def test_a_disabled_cron_that_is_enabled_again_does_not_make_up_for_what_it_missed(
    sdk: LangGraphClient,
) -> None:
    cron = await sdk.crons.create("sleeping", schedule="0 0 1 1 *", enabled=False)
    past = clock.now() - timedelta(days=1000)
    await in_database(Cron.objects.filter(id=cron["cron_id"]).update, next_run_date=past)
    enabled = await sdk.crons.update(cron["cron_id"], enabled=True)
    assert enabled["next_run_date"] == cron["next_run_date"]
