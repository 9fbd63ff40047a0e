"""Threads over HTTP."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, NotFoundError

EMPTY: dict[str, Any] = {
    "values": {},
    "next": [],
    "tasks": [],
    "metadata": None,
    "created_at": None,
    "checkpoint": None,
    "parent_checkpoint": None,
    "interrupts": [],
    "checkpoint_id": None,
    "parent_checkpoint_id": None,
}
NO_TTL: list[Any] = [
    0, -1, 5_270_401, True, "5", [], {}, {"ttl": 0}, {"ttl": "5"}, {"ttl": {"ttl": 5}}, {"strategy": "delete"},
    {"ttl": 5, "strategy": "archive"}, {"ttl": 5, "strategy": ["delete"]},
]  # fmt: skip


async def test_a_new_thread_is_idle_and_has_the_shape_that_clients_know(http: httpx.AsyncClient) -> None:
    answer = await http.post("/threads", json={"metadata": {"suite": "x"}})
    thread = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(thread) == [
        "thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "status", "config", "values",
    ]  # fmt: skip
    assert UUID(thread["thread_id"]).version == 7
    assert (thread["metadata"], thread["status"], thread["values"]) == ({"suite": "x"}, "idle", None)
    assert thread["created_at"].endswith("+00:00")
    assert len(thread["created_at"]) == len("2026-11-23T16:24:22.287931+00:00")
    assert (await http.get(f"/threads/{thread['thread_id']}")).json() == thread


async def test_the_content_type_of_a_body_means_nothing(http: httpx.AsyncClient) -> None:
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "nonsense",
    ):
        answer = await http.post(
            "/threads", content=b'{"metadata": null}', headers={"Content-Type": content_type}
        )
        assert answer.status_code == 200


async def test_a_client_may_choose_the_id_once(sdk: LangGraphClient) -> None:
    chosen = str(uuid4())
    created = await sdk.threads.create(thread_id=chosen, metadata={"a": 1})
    assert created["thread_id"] == chosen
    with pytest.raises(ConflictError, match=f"Thread with ID {chosen} already exists"):
        await sdk.threads.create(thread_id=chosen)
    again = await sdk.threads.create(thread_id=chosen, if_exists="do_nothing", metadata={"b": 2})
    assert again["metadata"] == {"a": 1}


async def test_of_many_who_choose_the_same_id_one_gets_it(http: httpx.AsyncClient) -> None:
    body = {"thread_id": str(uuid4())}
    answers = await asyncio.gather(*(http.post("/threads", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]


async def test_somebody_elses_id_is_taken_and_stays_theirs(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    thread = (await http.post("/threads", json={"metadata": {"secret": 1}})).json()
    answer = await stranger.post(
        "/threads", json={"thread_id": thread["thread_id"], "if_exists": "do_nothing"}
    )
    assert answer.status_code == 409
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"thread_id": "x"}, "thread_id: "),
        ({"if_exists": "explode"}, "if_exists: input should be 'raise' or 'do_nothing'."),
        ({"metadata": [1]}, "metadata: input should be a valid dictionary."),
        *(({"ttl": ttl}, "ttl: must be a positive number of minutes, at most 5270400, or") for ttl in NO_TTL),
        ({"supersteps": [{"updates": []}]}, "supersteps.0.updates: list should have at least 1 item"),
        ({"supersteps": [[]]}, "The request body must be a JSON object."),
        ({"metadata": {"graph_id": 5}}, "metadata: graph_id must be a string."),
        ([], "The request body must be a JSON object."),
        ("x", "The request body must be a JSON object."),
        (None, "The request body must be a JSON object."),
    ],
)
async def test_a_thread_that_cannot_be_is_refused_with_one_sentence(
    http: httpx.AsyncClient, body: Any, detail: str
) -> None:
    answer = await http.post("/threads", content=json.dumps(body))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(detail)


async def test_a_thread_that_is_not_there_is_not_found(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    missing = "33333333-3333-4333-8333-333333333333"
    for path in (f"/threads/{missing}", f"/threads/{missing}/state", f"/threads/{missing}/runs"):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": f"Thread with ID {missing} not found"})
    with pytest.raises(NotFoundError):
        await sdk.threads.get_state(missing)


@pytest.mark.parametrize("path", ["/threads/x", "/threads/x/state", "/threads/x/runs", "/threads/%00/state"])
async def test_an_id_must_be_a_uuid(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid thread ID: must be a UUID"})


async def test_a_thread_that_nothing_ran_on_has_the_empty_state(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    answer = await http.get(f"/threads/{thread}/state")
    assert (answer.status_code, answer.json()) == (200, EMPTY)


async def test_a_state_shows_what_the_graph_waits_for(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    asked: Any = await sdk.runs.wait(thread, "questions", input={"log": []})
    state: Any = await sdk.threads.get_state(thread)
    assert state["values"] == {"log": ["p1", "p2"]}
    assert state["next"] == ["both"]
    [task] = state["tasks"]
    assert (task["name"], task["interrupts"][0]["id"]) == ("both", asked["__interrupt__"][0]["id"])
    assert state["checkpoint"]["thread_id"] == thread
    assert state["checkpoint"]["checkpoint_id"] == state["checkpoint_id"]
    shown = await sdk.threads.get(thread)
    assert (shown["status"], shown["values"]) == ("interrupted", {"log": ["p1", "p2"]})
    assert shown["interrupts"][task["id"]][0]["value"] == {"question": "first"}


async def test_the_state_of_a_subgraph_comes_on_request(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.wait(thread, "nested", input={"log": []}, interrupt_before=["child"])
    plain = await sdk.threads.get_state(thread)
    nested = await sdk.threads.get_state(thread, subgraphs=True)
    assert plain["next"] == nested["next"] == ["child"]
    assert plain["tasks"][0]["state"] is None


@pytest.mark.parametrize(
    ("ttl", "shown"),
    [
        (60, {"strategy": "delete", "ttl_minutes": 60}),
        (0.5, {"strategy": "delete", "ttl_minutes": 0.5}),
        ({"ttl": 60, "strategy": "keep_latest"}, {"strategy": "keep_latest", "ttl_minutes": 60}),
    ],
)
async def test_a_time_to_live_is_shown_on_request(
    http: httpx.AsyncClient, sdk: LangGraphClient, ttl: Any, shown: dict[str, Any]
) -> None:
    thread = await sdk.threads.create(ttl=ttl)
    assert "ttl" not in thread
    assert "ttl" not in (await http.get(f"/threads/{thread['thread_id']}")).json()
    found: Any = await sdk.threads.get(thread["thread_id"], include=["ttl"])
    expires_at = found["ttl"].pop("expires_at")
    assert found.pop("ttl") == shown
    assert found == thread
    lives = datetime.fromisoformat(expires_at) - datetime.fromisoformat(thread["created_at"])
    assert lives == timedelta(minutes=shown["ttl_minutes"])


async def test_without_a_time_to_live_of_its_own_a_thread_has_the_sites(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    path = f"/threads/{(await http.post('/threads', json={})).json()['thread_id']}?include=ttl"
    assert (await http.get(path)).json()["ttl"] is None
    run_settings(THREAD_TTL=15, THREAD_TTL_STRATEGY="keep_latest")
    assert (await http.get(path)).json()["ttl"] is None
    for body, minutes, strategy in (({}, 15, "keep_latest"), ({"ttl": 20}, 20, "delete")):
        thread = (await http.post("/threads", json=body)).json()["thread_id"]
        shown = (await http.get(f"/threads/{thread}?include=ttl")).json()["ttl"]
        assert (shown["ttl_minutes"], shown["strategy"]) == (minutes, strategy)


async def test_what_is_shown_besides_must_be_known(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    answer = await http.get(f"/threads/{thread}?include=ttl,secrets")
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "include: 'secrets' is not known; only 'ttl' is."},
    )
    assert (await http.get(f"/threads/{thread}?include=")).status_code == 200
