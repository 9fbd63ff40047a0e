"""Every search, list and count of a client has a time limit."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from runs.api.http.searches import SEARCHES
from runs.api.openapi.document import document
from runs.api.site import api
from threads.db import database, time_limits
from threads.db.time_limits import QueryTooSlow

BODIES: dict[str, Any] = {"/store/items/search": {"filter": {"a": 1}}}


def searches() -> list[tuple[str, str]]:
    """The operations that are named as searches, lists and counts in the API's document."""
    named = re.compile(r"(search|list|count)_|get_history|post_history")
    return [
        (method.upper(), path)
        for path, operations in document(api)["paths"].items()
        for method, operation in operations.items()
        if named.match(operation["operationId"])
    ]


def test_there_are_searches_of_everything() -> None:
    assert len(searches()) >= 12
    assert all(SEARCHES.fullmatch(f"{method} {path}") for method, path in searches())
    assert not SEARCHES.fullmatch("POST /runs")
    assert not SEARCHES.fullmatch("GET /threads/x/runs/y")


class Slow:
    """A call that takes too long."""

    def __init__(self, call: Any, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> None:
        raise QueryTooSlow(self.seconds)

    def watch(self) -> None: ...

    def left(self) -> None: ...


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
        command = {"id": 1, "method": "state.listCheckpoints", "params": {}}
        answered = (await http.post(f"/threads/{thread}/commands", json=command)).json()
        assert "was stopped after" in answered["message"], answered
    assert (await http.get(f"/threads/{thread}/history")).json() == before
