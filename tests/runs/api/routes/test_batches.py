"""Several runs in one request: created all or none, and cancelled together."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from runs.models import Run
from tests.runs.api.routes.test_runs import MISSING, STEPS
from tests.runs.api.routes.test_streams import eventually, new_thread, sleep, until
from threads.db.database import in_database
from threads.models import Thread


async def counts() -> tuple[int, int]:
    return await in_database(Run.objects.count), await in_database(Thread.objects.count)


async def test_a_batch_creates_each_run_on_a_thread_of_its_own(sdk: LangGraphClient) -> None:
    wanted: list[Any] = [
        {"assistant_id": "steps", "input": {"log": []}, "metadata": {"n": n}, "on_completion": "keep"}
        for n in range(3)
    ]
    runs: Any = await sdk.runs.create_batch(wanted)
    assert [run["metadata"]["n"] for run in runs] == [0, 1, 2]
    assert {run["status"] for run in runs} == {"pending"}
    assert len({run["thread_id"] for run in runs}) == 3
    for run in runs:
        values: Any = await sdk.runs.join(run["thread_id"], run["run_id"])
        assert len(values["log"]) == 10


@pytest.mark.parametrize(
    ("batch", "status", "detail"),
    [
        ([], 422, "list should have at least 1 item"),
        ({}, 422, "input should be a valid list."),
        ([STEPS] * 201, 422, "list should have at most 200 items"),
        ([STEPS, {}], 422, "1.assistant_id is required."),
        ([STEPS, {"assistant_id": "nope"}], 422, "Invalid assistant: 'nope'."),
        ([STEPS, {"assistant_id": MISSING}], 404, "Thread or assistant not found."),
        ([STEPS, {**STEPS, "command": {"resume": 1}}], 400, "You must provide a thread_id when resuming."),
        ([STEPS, 5], 422, ""),
    ],
)
async def test_a_batch_of_which_one_is_refused_creates_none(
    http: httpx.AsyncClient, batch: Any, status: int, detail: str
) -> None:
    answer = await http.post("/runs/batch", json=batch)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert await counts() == (0, 0)


async def test_named_runs_of_a_thread_are_cancelled(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    thread = await new_thread(http)
    runs = [(await http.post(f"/threads/{thread}/runs", json=sleep(30))).json()["run_id"] for _ in range(3)]
    await sdk.runs.cancel_many(thread_id=thread, run_ids=[runs[1], MISSING])
    assert (await sdk.runs.get(thread, runs[1]))["status"] == "interrupted"
    await sdk.runs.cancel_many(thread_id=thread, run_ids=[runs[0], runs[2]], action="rollback")
    for run in (runs[0], runs[2]):
        await eventually(http, f"/threads/{thread}/runs/{run}", lambda row: "run_id" not in row)
    with pytest.raises(NotFoundError, match="No matching runs to cancel"):
        await sdk.runs.cancel_many(thread_id=thread, run_ids=[runs[1]])
    answer = await http.post("/runs/cancel", json={"thread_id": thread, "run_ids": [MISSING]})
    assert (answer.status_code, answer.json()["detail"]) == (404, "No runs found to cancel.")


@pytest.mark.parametrize("status", ["pending", "running", "all"])
async def test_runs_in_a_status_are_cancelled_and_those_of_others_are_not(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, status: str
) -> None:
    thread, theirs = await new_thread(http), await new_thread(stranger)
    other = (await stranger.post(f"/threads/{theirs}/runs", json=sleep(30))).json()["run_id"]
    running, waiting = [
        (await http.post(f"/threads/{thread}/runs", json=sleep(30))).json()["run_id"] for _ in range(2)
    ]

    def path(run: str) -> str:
        return f"/threads/{thread}/runs/{run}"

    await until(http, path(running), "running")
    assert (await http.post("/runs/cancel", json={"status": status})).status_code == 204
    for run, meant in ((running, "running"), (waiting, "pending")):
        if status in ("all", meant):
            await until(http, path(run), "interrupted")
        else:
            assert (await http.get(path(run))).json()["status"] in ("pending", "running")
    assert (await stranger.get(f"/threads/{theirs}/runs/{other}")).json()["status"] in ("pending", "running")
    answer = await stranger.post("/runs/cancel", json={"thread_id": thread, "run_ids": [running]})
    assert answer.status_code == 404


async def test_without_runs_in_flight_there_is_nothing_to_cancel(http: httpx.AsyncClient) -> None:
    answer = await http.post("/runs/cancel", json={"status": "all"})
    assert (answer.status_code, answer.json()["detail"]) == (404, "No runs found to cancel.")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "success"},
        {"thread_id": MISSING},
        {"run_ids": [MISSING]},
        {"thread_id": MISSING, "run_ids": []},
        {"thread_id": MISSING, "run_ids": ["x"]},
        {"status": "all", "thread_id": MISSING, "run_ids": [MISSING]},
        {"status": "all", "thread_id": MISSING},
        [],
    ],
)
async def test_a_body_must_say_which_runs(http: httpx.AsyncClient, body: Any) -> None:
    assert (await http.post("/runs/cancel", json=body)).status_code == 422


async def test_an_action_that_is_none_cancels_nothing(http: httpx.AsyncClient) -> None:
    assert (await http.post("/runs/cancel?action=x", json={"status": "all"})).status_code == 422


async def test_a_list_of_runs_has_pages_and_takes_every_form_of_select(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    for _ in range(3):
        run = (await http.post(f"/threads/{thread}/runs", json=STEPS)).json()["run_id"]
        await http.get(f"/threads/{thread}/runs/{run}/join")
    answer = await http.get(f"/threads/{thread}/runs?limit=2")
    assert len(answer.json()) == 2
    assert (answer.headers["x-pagination-total"], answer.headers["x-pagination-next"]) == ("3", "2")
    answer = await http.get(f"/threads/{thread}/runs?limit=2&offset=2")
    assert len(answer.json()) == 1
    assert (answer.headers["x-pagination-total"], answer.headers.get("x-pagination-next")) == ("3", None)
    for query in ("select=run_id&select=status", "select=run_id,status", 'select=["run_id","status"]'):
        rows = (await http.get(f"/threads/{thread}/runs?{query}")).json()
        assert [list(row) for row in rows] == [["run_id", "status"]] * 3
    answer = await http.get(f"/threads/{thread}/runs?select=run_id,x")
    assert (answer.status_code, answer.json()["detail"][:30]) == (422, "select: 'x' is no field of a r")
    assert (await http.get(f"/threads/{thread}/runs?status=error")).json() == []
