"""Every search, list and count of a client has a time limit."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runs.api.openapi.document import document
from runs.api.site import api
from runs.identity.auth_file.rules import COMMANDS, COSTS, RULES, rule_for
from threads.api import searching
from threads.db import database, time_limits
from threads.db.database import SEARCHES_OF_USER
from threads.db.time_limits import QueryTooSlow
from threads.store import room

BODIES: dict[str, Any] = {"/store/items/search": {"filter": {"a": 1}}}


def searches() -> list[tuple[str, str]]:
    """The routes whose whole request has the time limit, with the names of their parameters."""
    paths = document(api)["paths"]
    return [
        (method.upper(), path)
        for path, operations in paths.items()
        for method in operations
        if (rule := rule_for(method.upper(), path)) is not None and rule.cost == "limited"
    ]


def test_each_route_and_command_says_what_it_costs() -> None:
    assert {rule.cost for rule in (*RULES.values(), *COMMANDS.values())} <= set(COSTS)
    assert len(searches()) == sum(rule.cost == "limited" for rule in RULES.values())


def test_what_is_named_as_a_search_a_list_or_a_count_is_limited() -> None:
    named = re.compile(r"(search|list|count)_|get_history|post_history")
    found = [
        (method.upper(), path)
        for path, operations in document(api)["paths"].items()
        for method, operation in operations.items()
        if named.match(operation["operationId"])
    ]
    assert len(found) >= 12
    assert set(found) <= set(searches())


def limited_commands() -> list[str]:
    return [name for name, rule in COMMANDS.items() if rule.cost == "limited"]


#: The routes that limit some of their reads, with a body, for a full store or a thread with a run.
PARTLY: dict[tuple[str, str], Any] = {
    ("DELETE", "/assistants/{}"): None,
    ("POST", "/runs/cancel"): {"status": "all"},
    ("POST", "/threads/{}/copy"): None,
    ("PUT", "/store/items"): {"namespace": ["a"], "key": "k", "value": {"a": 1}},
}


async def test_what_is_limited_in_part_does_nothing_when_it_takes_too_long(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(PARTLY) == {route for route, rule in RULES.items() if rule.cost == "partly"}
    thread = (await http.post("/threads", json={"metadata": {"graph_id": "steps"}})).json()["thread_id"]
    assistant = (await http.post("/assistants", json={"graph_id": "steps"})).json()["assistant_id"]
    room._accounts.clear()
    with monkeypatch.context() as patch:
        patch.setattr(database, "LimitedCall", Slow)
        for (method, path), body in PARTLY.items():
            named = path.format(assistant if "assistants" in path else thread)
            query = {"delete_threads": "true"} if method == "DELETE" else {}
            answer = await http.request(method, named, json=body, params=query)
            assert answer.status_code == 422, (method, path, answer.text)
            assert "was stopped after 5 s." in answer.json()["detail"], path
    assert (await http.get(f"/assistants/{assistant}")).status_code == 200
    assert len((await http.post("/threads/search", json={})).json()) == 1
    assert (await http.get("/store/items", params={"namespace": "a", "key": "k"})).json() is None


class Slow:
    """A call that takes too long."""

    def __init__(self, call: Any, seconds: float) -> None:
        self.seconds = seconds

    async def made(self, run: Any, give: Callable[[], None]) -> None:
        give()
        raise QueryTooSlow(self.seconds)


async def test_each_of_them_says_that_it_took_too_long(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = (await http.post("/threads", json={"metadata": {"graph_id": "steps"}})).json()["thread_id"]
    assistant = (await http.post("/assistants", json={"graph_id": "steps"})).json()["assistant_id"]
    monkeypatch.setattr(database, "LimitedCall", Slow)
    for method, path in searches():
        named = path.format(thread_id=thread, assistant_id=assistant)
        body = BODIES.get(path, {}) if method == "POST" else None
        answer = await http.request(method, named, json=body)
        assert answer.status_code == 422, (method, path, answer.text)
        assert answer.json()["detail"].startswith("The search was stopped after 5 s."), path
    # What finds its rows by their ids goes on.
    assert (await http.get(f"/threads/{thread}")).status_code == 200
    assert (await http.post("/runs/wait", json={"assistant_id": "steps", "input": {"log": []}})).is_success


async def test_histories_are_read_within_the_limit(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    run = {"assistant_id": "steps", "input": {"log": []}}
    await http.post(f"/threads/{thread}/runs/wait", json=run)
    before = (await http.get(f"/threads/{thread}/history")).json()
    with monkeypatch.context() as patch:
        patch.setattr(time_limits, "LONGEST", 1e-6)
        for _ in range(3):
            answer = await http.get(f"/threads/{thread}/history")
            assert (answer.status_code, "was stopped after" in answer.text) == (422, True), answer.text
        for name in limited_commands():
            command = {"id": 1, "method": name, "params": {}}
            answered = (await http.post(f"/threads/{thread}/commands", json=command)).json()
            assert "was stopped after" in answered["message"], answered
    assert (await http.get(f"/threads/{thread}/history")).json() == before


async def test_the_searches_of_one_user_delay_those_of_others_by_no_more_than_their_own(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, begun = threading.Event(), threading.Semaphore(0)
    page = searching.page

    def slow(body: Any, *, principal: Any) -> Any:
        if body.limit == 7:
            begun.release()
            free.wait(20)
        return page(body, principal=principal)

    monkeypatch.setattr(searching, "page", slow)
    many = [asyncio.create_task(http.post("/threads/search", json={"limit": 7})) for _ in range(6)]
    try:
        for _ in range(SEARCHES_OF_USER):
            assert await asyncio.to_thread(begun.acquire, timeout=10)
        assert (await stranger.post("/threads/search", json={})).status_code == 200
        with monkeypatch.context() as patch:
            patch.setattr(time_limits, "LONGEST_WAIT", 0.05)
            refused = await http.post("/threads/search", json={})
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5"), refused.text
    finally:
        free.set()
    assert [each.status_code for each in await asyncio.gather(*many)] == [200] * 6
