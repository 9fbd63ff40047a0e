"""Runs over HTTP: creating, listing, cancelling, deleting, and ownership."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError

from runs.identity.credentials import UNKNOWN
from tests.runs.api.routes.test_streams import new_thread, sleep, status_of, talk, until
from tests.runs.requests.test_parsing import bodies

MISSING = "33333333-3333-4333-8333-333333333333"
STEPS = {"assistant_id": "steps", "input": {"log": []}}


async def test_a_run_has_the_shape_that_clients_know(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    body = talk(metadata={"mine": 1}, stream_mode="updates")
    answer = await http.post(f"/threads/{thread}/runs", json=body)
    run = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-location"] == f"/threads/{thread}/runs/{run['run_id']}"
    assert list(run) == [
        "run_id", "thread_id", "assistant_id", "metadata", "status", "kwargs", "multitask_strategy", "created_at",
        "updated_at", "langsmith_session_name",
    ]  # fmt: skip
    assert (run["thread_id"], run["status"], run["multitask_strategy"]) == (thread, "pending", "enqueue")
    assert run["metadata"]["mine"] == 1
    assert run["metadata"]["assistant_id"] == run["assistant_id"]
    expected = {
        "input": body["input"],
        "command": None,
        "stream_mode": ["updates"],
        "webhook": None,
        "subgraphs": False,
    }
    assert expected.items() <= run["kwargs"].items()
    assert len(run["created_at"]) == len("2026-11-23T16:24:22.287931+00:00")
    await http.get(f"/threads/{thread}/runs/{run['run_id']}/join")
    done = (await http.get(f"/threads/{thread}/runs/{run['run_id']}")).json()
    assert done["status"] == "success"
    assert {**done, "status": "pending", "updated_at": run["updated_at"]} == run


async def test_what_belongs_to_the_server_cannot_be_set(http: httpx.AsyncClient) -> None:
    thread, other = await new_thread(http), await new_thread(http)
    names = (
        "thread_id",
        "graph_id",
        "langgraph_auth_user",
        "__pregel_checkpointer",
        "__pregel_durability",
    )
    stolen = dict.fromkeys(names, other)
    body = {
        **STEPS,
        "config": {"configurable": stolen, "metadata": {"run_id": MISSING}},
        "metadata": {"user_id": 0},
    }
    run = (await http.post(f"/threads/{thread}/runs", json=body)).json()
    await http.get(f"/threads/{thread}/runs/{run['run_id']}/join")
    assert (await http.get(f"/threads/{thread}/state")).json()["values"]["log"]
    assert (await http.get(f"/threads/{other}/state")).json()["values"] == {}
    assert other not in str(run["kwargs"])
    assert run["metadata"].get("user_id") is None


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 422, "assistant_id is required."),
        ({"assistant_id": None}, 422, "assistant_id is required."),
        ({"assistant_id": 5}, 422, "assistant_id: input should be a valid string."),
        (
            {"assistant_id": "nope"},
            422,
            "Invalid assistant: 'nope'. Must be either:\n- A valid assistant UUID, or\n- ",
        ),
        ({"assistant_id": MISSING}, 404, "Thread or assistant not found."),
        ({**STEPS, "stream_mode": "bogus"}, 422, "stream_mode.0: input should be 'values', "),
        ({**STEPS, "multitask_strategy": "bogus"}, 422, "multitask_strategy: input should be "),
        (
            {**STEPS, "interrupt_before": 5},
            422,
            'interrupt_before: must be "*" or a list of the names of nodes.',
        ),
        ({**STEPS, "config": {"recursion_limit": 0}}, 422, "config.recursion_limit must be a whole number"),
        ({**STEPS, "webhook": "https://127.0.0.1/x"}, 422, "Webhook host blocked: loopback IP range"),
        ({**STEPS, "webhook": "https://localhost"}, 422, "Webhook host blocked: loopback IP range"),
        ({**STEPS, "webhook": "/hook"}, 422, "webhook must be an absolute URL, with a host."),
        ({**STEPS, "checkpoint_id": "x"}, 422, "Invalid checkpoint ID: must be a UUID"),
        (
            {**STEPS, "config": {"configurable": {"a": 1}}, "context": {"b": 1}},
            400,
            "Cannot specify both configurable and context. Prefer setting context alone. ",
        ),
    ],
)
async def test_a_run_that_cannot_be_is_refused_and_changes_nothing(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, detail: str
) -> None:
    thread = await new_thread(http)
    for path in (
        f"/threads/{thread}/runs",
        f"/threads/{thread}/runs/stream",
        f"/threads/{thread}/runs/wait",
        "/runs",
    ):
        answer = await http.post(path, json=body)
        assert (answer.status_code, answer.json()["detail"][: len(detail)]) == (status, detail)
    assert (await http.get(f"/threads/{thread}/runs")).json() == []


@pytest.mark.parametrize("path", ["/runs", "/runs/stream", "/runs/wait"])
async def test_an_answer_needs_a_thread(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path, json={"assistant_id": "steps", "command": {"resume": "yes"}})
    assert (answer.status_code, answer.json()) == (
        400,
        {"detail": "You must provide a thread_id when resuming."},
    )


@pytest.mark.parametrize(
    "goto", ["__end__", "nowhere", ["nowhere", "__end__"], {"node": "nowhere", "input": 1}]
)
async def test_whoever_goes_nowhere_can_answer_the_question_afterwards(
    http: httpx.AsyncClient, goto: Any
) -> None:
    """Chat pages send `goto: "__end__"` to dismiss an interrupt."""
    runs = f"/threads/{await new_thread(http)}/runs/wait"
    asked = (await http.post(runs, json={"assistant_id": "asking", "input": {"log": []}})).json()
    went = await http.post(runs, json={"assistant_id": "asking", "input": {}, "command": {"goto": goto}})
    assert went.json() == asked
    answer = {"assistant_id": "asking", "command": {"resume": "yes"}}
    assert "answer=yes" in (await http.post(runs, json=answer)).json()["log"]


@pytest.mark.parametrize("update", [{"log": ["a", "b"]}, [["log", ["a"]], ["log", ["b"]]]])
async def test_an_update_is_applied_in_both_forms(http: httpx.AsyncClient, update: Any) -> None:
    runs = f"/threads/{await new_thread(http)}/runs/wait"
    assert (await http.post(runs, json=STEPS)).status_code == 200
    command = {"update": update, "goto": "s9"}
    done = (await http.post(runs, json={"assistant_id": "steps", "command": command})).json()
    assert done["log"][10:] == ["a", "b", "s9"]


async def test_a_missing_thread_is_made_only_on_request(http: httpx.AsyncClient) -> None:
    refused = await http.post(f"/threads/{MISSING}/runs/wait", json=STEPS)
    assert (refused.status_code, refused.json()) == (404, {"detail": "Thread or assistant not found."})
    made = await http.post(f"/threads/{MISSING}/runs/wait", json={**STEPS, "if_not_exists": "create"})
    assert len(made.json()["log"]) == 10
    assert (await http.get(f"/threads/{MISSING}")).json()["status"] == "idle"


@pytest.mark.parametrize("graph_id", [{"a": 1}, 5, "asking"])
async def test_the_graph_of_a_thread_is_the_one_that_ran(http: httpx.AsyncClient, graph_id: Any) -> None:
    body = {
        "assistant_id": "steps", "input": {"log": []}, "if_not_exists": "create", "metadata": {"graph_id": graph_id},
    }  # fmt: skip
    thread = f"/threads/{uuid4()}"
    assert (await http.post(f"{thread}/runs/wait", json=body)).status_code == 200
    assert (await http.get(thread)).json()["metadata"]["graph_id"] == "steps"
    assert (await http.get(f"{thread}/state")).status_code == 200


async def test_a_busy_thread_can_reject(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.create(thread, "sleeping", input={"log": [], "delay": 30})
    with pytest.raises(ConflictError, match="Thread is already running a task"):
        await sdk.runs.create(thread, "sleeping", input={"log": []}, multitask_strategy="reject")


async def test_a_run_without_a_thread_leaves_none_unless_it_is_told_to(http: httpx.AsyncClient) -> None:
    gone = (await http.post("/runs", json=STEPS)).json()
    kept = (await http.post("/runs", json={**STEPS, "on_completion": "keep"})).json()
    for run in (gone, kept):
        await http.get(f"/runs/{run['run_id']}/join")
    assert (await http.get(f"/threads/{gone['thread_id']}")).status_code == 404
    assert (await http.get(f"/threads/{kept['thread_id']}")).json()["status"] == "idle"


# --- lists


async def test_runs_are_listed_newest_first_in_pages(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    ids = []
    for _ in range(4):
        answer = await http.post(f"/threads/{thread}/runs/wait", json=STEPS)
        ids.append(answer.headers["content-location"].rpartition("/")[2])
    ids.reverse()

    async def listed(query: str) -> list[Any]:
        return [run["run_id"] for run in (await http.get(f"/threads/{thread}/runs?{query}")).json()]

    assert await listed("") == ids
    assert await listed("limit=2&offset=1") == ids[1:3]
    assert await listed("status=success&limit=1000") == ids
    assert await listed("status=pending") == []
    selected = (await http.get(f"/threads/{thread}/runs?select=run_id&select=status&limit=1")).json()
    assert selected == [{"run_id": ids[0], "status": "success"}]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "offset=-1", "offset=99999999999999999999", "status=x", "select=x"],
)
async def test_a_list_is_bounded(http: httpx.AsyncClient, query: str) -> None:
    thread = await new_thread(http)
    answer = await http.get(f"/threads/{thread}/runs?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(query.partition("=")[0])


# --- cancel and delete


async def running(http: httpx.AsyncClient, thread: str) -> str:
    """The path of a run that executes until it is stopped."""
    path = str((await http.post(f"/threads/{thread}/runs", json=sleep(60))).headers["content-location"])
    await until(http, path, "running")
    return path


@pytest.mark.parametrize(
    ("query", "status", "body"), [("", 202, b""), ("?wait=0", 202, b""), ("?wait=true", 200, b"{}")]
)
async def test_a_running_run_can_be_cancelled(
    http: httpx.AsyncClient, query: str, status: int, body: bytes
) -> None:
    run = await running(http, await new_thread(http))
    answer = await http.post(f"{run}/cancel{query}")
    assert (answer.status_code, answer.content) == (status, body)
    if status == 200:
        assert await status_of(http, run) == "interrupted"
        assert answer.headers["content-location"] == run
    assert await until(http, run, "interrupted", "success", "error") == "interrupted"


async def test_the_readers_of_a_cancelled_run_see_it_end_without_an_error(http: httpx.AsyncClient) -> None:
    run = await running(http, await new_thread(http))
    reader = asyncio.create_task(http.get(f"{run}/stream", headers={"Last-Event-ID": "-1"}))
    await http.post(f"{run}/cancel?wait=1")
    content = (await reader).content
    assert b"event: metadata" in content
    assert b"event: error" not in content


async def test_a_run_that_is_rolled_back_is_gone(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    run = await running(http, thread)
    assert (await http.post(f"{run}/cancel?wait=1&action=rollback")).status_code == 200
    answer = await http.get(run)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert (await http.get(f"{run}/join")).json()["__error__"]["message"] == "404: Run not found"
    assert (await http.get(f"/threads/{thread}")).json()["status"] == "idle"


async def test_what_has_ended_or_never_was_cannot_be_cancelled(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    answer = await http.post(f"/threads/{thread}/runs/wait", json=STEPS)
    ended = await http.post(f"{answer.headers['content-location']}/cancel")
    assert ended.status_code == 404
    assert ended.json()["detail"].startswith(
        "No matching runs to cancel. Please verify the thread ID and run IDs are"
    )
    unknown = await http.post(f"/threads/{thread}/runs/{MISSING}/cancel")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "No runs found to cancel."})
    odd = await http.post(f"/threads/{thread}/runs/{MISSING}/cancel?action=explode")
    assert (odd.status_code, odd.json()) == (
        422,
        {"detail": "action: input should be 'interrupt' or 'rollback'."},
    )


async def test_a_run_can_be_deleted_once(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    run = (await http.post(f"/threads/{thread}/runs/wait", json=STEPS)).headers["content-location"]
    answer = await http.delete(run)
    assert (answer.status_code, answer.content) == (204, b"")
    again = await http.delete(run)
    assert (again.status_code, again.json()) == (404, {"detail": "Run not found"})


@pytest.mark.parametrize("path", ["", "/stream", "/join"])
async def test_ids_of_runs_must_be_uuids(http: httpx.AsyncClient, path: str) -> None:
    thread = await new_thread(http)
    answer = await http.get(f"/threads/{thread}/runs/x{path}")
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid run ID: must be a UUID"})
    answer = await http.get(f"/threads/x/runs/{MISSING}{path}")
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid thread ID: must be a UUID"})


# --- ownership

ROUTES = [
    ("GET", "/threads/{t}"),
    ("GET", "/threads/{t}/state"),
    ("GET", "/threads/{t}/runs"),
    ("POST", "/threads/{t}/runs"),
    ("POST", "/threads/{t}/runs/stream"),
    ("POST", "/threads/{t}/runs/wait"),
    ("GET", "/threads/{t}/runs/{r}"),
    ("DELETE", "/threads/{t}/runs/{r}"),
    ("POST", "/threads/{t}/runs/{r}/cancel"),
    ("GET", "/threads/{t}/runs/{r}/stream"),
    ("GET", "/threads/{t}/runs/{r}/join"),
    ("GET", "/runs/{r}/stream"),
    ("GET", "/runs/{r}/join"),
]


async def test_what_is_somebody_elses_is_as_if_it_were_not_there(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    thread = await new_thread(http)
    run = (await running(http, thread)).rpartition("/")[2]
    mine = (await stranger.post("/threads", json={})).json()["thread_id"]
    for method, route in ROUTES:
        # Also for a run that is addressed through the stranger's own thread.
        for names in ({"t": thread, "r": run}, {"t": mine, "r": run}):
            if names["t"] == mine and "{r}" not in route:
                continue
            body = {**STEPS, "if_not_exists": "create"} if method == "POST" else None
            theirs = await stranger.request(
                method, route.format(**names), json=body, headers={"Last-Event-ID": "-1"}
            )
            unknown = await stranger.request(
                method, route.format(t=MISSING, r=MISSING), json=STEPS if body else None
            )
            assert theirs.status_code == unknown.status_code, route
            assert theirs.text.replace(thread, MISSING) == unknown.text, route
    assert await status_of(http, f"/threads/{thread}/runs/{run}") == "running"
    assert len((await http.get(f"/threads/{thread}/runs")).json()) == 1


async def test_nobody_may_do_anything_without_a_local_user(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(LOCAL_USER=False)
    for method, route in [*ROUTES, ("POST", "/threads"), ("POST", "/runs"), ("POST", "/assistants/search")]:
        answer = await http.request(method, route.format(t=MISSING, r=MISSING), json={})
        assert answer.status_code == 401, route
        assert answer.json() == {"detail": UNKNOWN}


# --- any body


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=bodies)
async def test_no_body_is_a_servers_error(http: httpx.AsyncClient, body: Any) -> None:
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    for path in (f"/threads/{MISSING}/runs", "/runs", "/threads", "/assistants/search"):
        answer = await http.post(path, content=content)
        assert answer.status_code in (200, 400, 404, 409, 422)
        if answer.status_code != 200:
            assert isinstance(answer.json()["detail"], str)
