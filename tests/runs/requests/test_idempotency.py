"""Requests with an `Idempotency-Key`: a repeated one creates nothing and gets the first one's answer."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from runs.models import Cron, IdempotencyKey, Run
from runs.requests import limits
from runs.requests.idempotency import LONGEST
from runs.retention import policy
from tests.runs.api.routes.test_streams import new_thread, sleep, talk
from tests.support.sockets import socket
from threads.checkpoints.opening import open_pruning
from threads.db import clock
from threads.db.database import in_database
from threads.models import Thread

STEPS = {"assistant_id": "steps", "input": {"log": []}}
CRON = {"assistant_id": "steps", "schedule": "0 5 1 1 *", "input": {"log": []}}


def key(name: str = "k") -> dict[str, str]:
    return {"Idempotency-Key": name}


async def count(model: Any = Run) -> int:
    return await in_database(model.objects.count)


async def test_a_repeated_run_is_the_same_run(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    path = f"/threads/{thread}/runs"
    first = await http.post(path, json=STEPS, headers=key())
    await http.get(f"{path}/{first.json()['run_id']}/join")
    again = await http.post(path, json=STEPS, headers=key())
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["content-location"] == first.headers["content-location"]
    other = await http.post(path, json=STEPS, headers=key("another"))
    assert other.json()["run_id"] != first.json()["run_id"]
    assert await count() == 2


async def test_a_repeated_stream_is_joined_from_its_start(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    path = f"/threads/{thread}/runs/stream"
    body = talk(stream_mode="updates")
    first = await http.post(path, json=body, headers=key())
    again = await http.post(path, json=body, headers=key())
    assert first.text.count("event: ") > 1
    assert again.text == first.text
    assert again.headers["location"] == first.headers["location"]
    assert await count() == 1


async def test_a_repeated_wait_gets_the_result(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    first, again = await asyncio.gather(
        *(http.post(f"/threads/{thread}/runs/wait", json=sleep(0.3), headers=key()) for _ in range(2))
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert await count() == 1


@pytest.mark.parametrize("path", ["/runs", "/runs/stream", "/runs/wait"])
async def test_stateless_runs_are_created_once(http: httpx.AsyncClient, path: str) -> None:
    first, again = [await http.post(path, json=STEPS, headers=key()) for _ in range(2)]
    assert first.status_code == again.status_code == 200
    assert first.headers["content-location"] == again.headers["content-location"]
    assert await count() == 1


async def test_a_repeated_batch_is_the_same_batch(http: httpx.AsyncClient) -> None:
    first, again = [await http.post("/runs/batch", json=[STEPS, STEPS], headers=key()) for _ in range(2)]
    assert first.json() == again.json()
    assert len({run["run_id"] for run in again.json()}) == 2
    assert await count() == 2


async def test_a_repeated_thread_is_the_same_thread(http: httpx.AsyncClient) -> None:
    body = {"metadata": {"a": 1}}
    first, again = [await http.post("/threads", json=body, headers=key()) for _ in range(2)]
    assert first.json() == again.json()
    named = {"thread_id": str(uuid4())}
    answers = [await http.post("/threads", json=named, headers=key("named")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert await count(Thread) == 2


async def test_a_repeated_thread_with_a_state_has_it_once(http: httpx.AsyncClient) -> None:
    updates = [{"values": {"log": ["a"]}, "as_node": "s0"}]
    body = {"metadata": {"graph_id": "steps"}, "supersteps": [{"updates": updates}]}
    first, again = [await http.post("/threads", json=body, headers=key()) for _ in range(2)]
    assert first.status_code == 200, first.text
    assert first.json() == again.json()
    history = (await http.get(f"/threads/{first.json()['thread_id']}/history")).json()
    assert len(history) == 1


async def test_a_thread_that_existed_before_is_refused_without_using_up_the_key(
    http: httpx.AsyncClient,
) -> None:
    named = {"thread_id": str(uuid4())}
    await http.post("/threads", json=named)
    assert (await http.post("/threads", json=named, headers=key())).status_code == 409
    assert await count(IdempotencyKey) == 0
    named["if_exists"] = "do_nothing"
    assert (await http.post("/threads", json=named, headers=key())).status_code == 200


async def test_a_repeated_copy_is_the_same_copy(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    first, again = await asyncio.gather(
        *(http.post(f"/threads/{thread}/copy", headers=key()) for _ in range(2))
    )
    assert first.json()["thread_id"] == again.json()["thread_id"] != thread
    assert (await http.post(f"/threads/{thread}/copy", headers=key())).json() == first.json()
    assert await in_database(Thread.objects.visible().count) == 2


async def test_a_repeated_cron_is_the_same_cron(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    for path in ("/runs/crons", f"/threads/{thread}/runs/crons"):
        first, again = [await http.post(path, json=CRON, headers=key(path)) for _ in range(2)]
        assert first.status_code == 200, first.text
        assert first.json() == again.json()
    assert await count(Cron) == 2


async def test_a_repeated_command_starts_one_run(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    command = {"id": 1, "method": "run.start", "params": {"assistant_id": "steps", "input": {"log": []}}}
    first = await http.post(f"/threads/{thread}/commands", json=command, headers=key())
    run_id = first.json()["result"]["run_id"]
    await http.get(f"/threads/{thread}/runs/{run_id}/join")
    again = await http.post(f"/threads/{thread}/commands", json=command, headers=key())
    assert again.json() == first.json()
    changed = {**command, "id": 2}
    refused = (await http.post(f"/threads/{thread}/commands", json=changed, headers=key())).json()
    assert (refused["type"], refused["message"][:4]) == ("error", "409:")
    assert await count() == 1


@pytest.mark.parametrize("method", ["input.respond", "state.fork"])
async def test_concurrent_equal_commands_start_one_run(http: httpx.AsyncClient, method: str) -> None:
    """Also if one has started its run before the next one looks for the question."""
    thread = await new_thread(http)
    await http.post(f"/threads/{thread}/runs/wait", json={**STEPS, "assistant_id": "questions"})
    state = (await http.get(f"/threads/{thread}/state")).json()
    params = {
        "input.respond": {"interrupt_id": state["interrupts"][0]["id"], "response": "yes"},
        "state.fork": {"checkpoint_id": state["checkpoint"]["checkpoint_id"]},
    }
    command = {"id": 1, "method": method, "params": params[method]}
    path = f"/threads/{thread}/commands"
    answers = await asyncio.gather(*(http.post(path, json=command, headers=key()) for _ in range(6)))
    results = [answer.json()["result"] for answer in answers]
    assert all(result == results[0] for result in results)
    await http.get(f"/threads/{thread}/runs/{results[0]['run_id']}/join")
    assert (await http.post(path, json=command, headers=key())).json()["result"] == results[0]
    assert await count() == 2
    await http.delete(f"/threads/{thread}/runs/{results[0]['run_id']}")
    deleted = (await http.post(path, json=command, headers=key())).json()
    assert (deleted["type"], deleted["message"][:4]) == ("error", "409:")


async def test_a_key_of_a_sockets_command_starts_one_run(stranger: httpx.AsyncClient) -> None:
    thread = await new_thread(stranger)
    cookies = {"cookie": "; ".join(f"{name}={value}" for name, value in stranger.cookies.items())}
    command = {"method": "run.start", "params": STEPS, "idempotency_key": "k"}
    async with socket(thread, cookies) as first:
        await first.send({"id": 1, **command})
        started = await first.receive()
        assert started["type"] == "success", started
    # The connection is lost, and the next one numbers its commands from 1 again.
    async with socket(thread, cookies) as second:
        await second.send({"id": 7, **command})
        assert (await second.receive())["result"] == started["result"]
        await second.send({"id": 8, **command, "params": {**STEPS, "input": None}})
        assert (await second.receive())["message"][:4] == "409:"
        await second.send({"id": 9, **command, "idempotency_key": 1})
        assert (await second.receive())["error"] == "invalid_argument"
    assert await count() == 1


async def test_concurrent_equal_requests_create_one_run(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    answers = await asyncio.gather(
        *(http.post(f"/threads/{thread}/runs", json=STEPS, headers=key()) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert await count() == 1


async def test_another_request_with_the_key_is_refused(http: httpx.AsyncClient) -> None:
    thread, other = await new_thread(http), await new_thread(http)
    await http.post(f"/threads/{thread}/runs", json=STEPS, headers=key())
    for path, body in (
        (f"/threads/{thread}/runs", {**STEPS, "metadata": {"a": 1}}),
        (f"/threads/{thread}/runs/wait", STEPS),
        (f"/threads/{other}/runs", STEPS),
        ("/runs", STEPS),
        ("/runs/batch", [STEPS]),
        ("/threads", {}),
        (f"/threads/{thread}/copy", None),
        ("/runs/crons", CRON),
    ):
        answer = await http.post(path, json=body, headers=key())
        assert answer.status_code == 409, path
        assert "Idempotency-Key" in answer.json()["detail"]
    assert await count() == 1


async def test_the_order_of_names_in_a_body_does_not_matter(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    ids = set()
    for names in (list(STEPS), list(reversed(STEPS))):
        content = json.dumps({name: STEPS[name] for name in names})
        answer = await http.post(f"/threads/{thread}/runs", content=content, headers=key())
        ids.add(answer.json()["run_id"])
    assert len(ids) == 1


async def test_a_deleted_run_is_a_conflict(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    path = f"/threads/{thread}/runs"
    run = (await http.post(path, json=STEPS, headers=key())).json()
    await http.get(f"{path}/{run['run_id']}/join")
    assert (await http.delete(f"{path}/{run['run_id']}")).status_code == 204
    answer = await http.post(path, json=STEPS, headers=key())
    assert answer.status_code == 409
    assert "deleted" in answer.json()["detail"]
    assert await count() == 0
    await http.delete(f"/threads/{thread}")
    assert (await http.post(path, json=STEPS, headers=key())).status_code == 409


@pytest.mark.parametrize("path", ["/threads", "/threads/{}/copy", "/runs/crons", "/runs/batch"])
async def test_whatever_was_created_and_deleted_is_a_conflict(http: httpx.AsyncClient, path: str) -> None:
    path = path.format(await new_thread(http))
    body: Any = {"/runs/crons": CRON, "/runs/batch": [{**STEPS, "after_seconds": 60}] * 2}.get(path, {})
    made = (await http.post(path, json=body, headers=key())).json()
    first = made[0] if isinstance(made, list) else made
    if "cron_id" in first:
        assert (await http.delete(f"/runs/crons/{first['cron_id']}")).is_success
    else:
        assert (await http.delete(f"/threads/{first['thread_id']}")).is_success
    again = await http.post(path, json=body, headers=key())
    assert (again.status_code, "deleted" in again.json()["detail"]) == (409, True)


async def test_a_refused_request_does_not_use_up_its_key(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    await http.post(f"/threads/{thread}/runs", json=sleep(30))
    body = {**STEPS, "multitask_strategy": "reject"}
    path = f"/threads/{thread}/runs"
    assert (await http.post(path, json=body, headers=key())).status_code == 409
    await http.post("/runs/cancel", json={"status": "all"}, params={"wait": "true"})
    assert await count(IdempotencyKey) == 0


@pytest.mark.parametrize("bad", ["", "x" * (LONGEST + 1), "a\tb"])
async def test_unusable_keys_are_refused(http: httpx.AsyncClient, bad: str) -> None:
    answer = await http.post("/threads", json={}, headers=key(bad))
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


async def test_keys_belong_to_their_user(http: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    mine = (await http.post("/threads", json={}, headers=key())).json()
    theirs = (await stranger.post("/threads", json={}, headers=key())).json()
    assert mine["thread_id"] != theirs["thread_id"]


async def test_a_repeated_request_is_not_limited(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(USER_THREADS=1, USER_RUNS_PER_MINUTE=1)
    limits._room.clear()
    first = await http.post("/threads", json={}, headers=key())
    again = await http.post("/threads", json={}, headers=key())
    assert (first.status_code, again.status_code) == (200, 200)
    assert (await http.post("/threads", json={}, headers=key("more"))).status_code == 429
    path = f"/threads/{first.json()['thread_id']}/runs"
    answers = [await http.post(path, json=STEPS, headers=key("run")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]


async def test_old_keys_are_forgotten(http: httpx.AsyncClient, run_settings: Any, settings: Any) -> None:
    first = (await http.post("/threads", json={}, headers=key())).json()
    await in_database(_age, 3600.0)
    assert (await http.post("/threads", json={}, headers=key())).json() == first
    run_settings(IDEMPOTENCY_RETENTION=1800.0)
    second = (await http.post("/threads", json={}, headers=key())).json()
    assert second["thread_id"] != first["thread_id"]
    assert (await http.post("/threads", json={}, headers=key())).json() == second
    assert await count(IdempotencyKey) == 1
    await in_database(_age, 3600.0)
    pruning = open_pruning(file=settings.RUNS["CHECKPOINTS_FILE"])
    report = await in_database(policy.prune, policy.Policy(), pruning)
    assert report.keys == 1
    assert await count(IdempotencyKey) == 0


def _age(seconds: float) -> None:
    created = clock.now() - timedelta(seconds=seconds)
    assert IdempotencyKey.objects.update(created_at=created) == 1


async def test_a_run_id_is_recorded_with_its_run(http: httpx.AsyncClient) -> None:
    run = (await http.post("/runs", json=STEPS, headers=key())).json()
    row = await in_database(IdempotencyKey.objects.get)
    assert [UUID(each) for each in row.ids] == [UUID(run["run_id"])]
