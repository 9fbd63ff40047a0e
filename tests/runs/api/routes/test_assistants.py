"""Assistants over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import uuid5

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from langgraph_sdk.client import LangGraphClient

from runs.assistants import SYSTEM_ASSISTANTS
from runs.models import Assistant
from threads.db.database import in_database


async def found(http: httpx.AsyncClient, **search: Any) -> list[str]:
    answer = await http.post("/assistants/search", json=search)
    assert answer.status_code == 200
    return [assistant["graph_id"] for assistant in answer.json()]


async def test_each_graph_has_a_system_assistant_with_the_shape_that_clients_know(
    sdk: LangGraphClient,
) -> None:
    expected = str(uuid5(SYSTEM_ASSISTANTS, "steps"))
    [assistant] = await sdk.assistants.search(graph_id="steps")
    assert list(assistant) == [
        "assistant_id", "graph_id", "config", "context", "metadata", "name", "created_at", "updated_at", "version",
        "description",
    ]  # fmt: skip
    assert (assistant["assistant_id"], assistant["name"], assistant["version"]) == (expected, "steps", 1)
    assert assistant["metadata"] == {"created_by": "system"}
    assert await sdk.assistants.get(expected) == assistant


async def test_assistants_are_found_by_all_of_what_is_asked(http: httpx.AsyncClient) -> None:
    everything = await found(http, limit=1000)
    assert {"steps", "talking", "agent"} <= set(everything)
    assert await found(http, metadata={"created_by": "system"}, limit=1000) == everything
    assert await found(http, metadata={"created_by": "me"}) == []
    assert await found(http, metadata={"created_by": {"deep": 1}}) == []
    assert await found(http, metadata={"a__gt": "x", "created_by": "system"}) == []
    assert await found(http, name="ALKIN") == ["talking"]
    assert await found(http, name="%") == []
    assert await found(http, graph_id="nope") == []


async def test_metadata_is_compared_by_containment(http: httpx.AsyncClient) -> None:
    now = timezone.now()
    metadata = {"a": {"b": 1, "c": [1, {"d": 2, "e": 3}]}, "n": None, "t": "true"}
    await in_database(
        Assistant.objects.create, graph_id="mine", metadata=metadata, created_at=now, updated_at=now
    )
    present: list[dict[str, Any]] = [
        {"a": {"b": 1.0}},
        {"a": {}},
        {"n": None},
        {"a": {"c": [{"e": 3}, 1]}, "t": "true"},
        {},
    ]
    absent: list[dict[str, Any]] = [
        {"a": {"b": 2}},
        {"a": 1},
        {"x": None},
        {"t": True},
        {"a": {"b": 1, "d": 1}},
        {"a": {"c": [2]}},
        {"n": 0},
    ]
    assert [
        wanted for wanted in present if "mine" not in await found(http, metadata=wanted, limit=1000)
    ] == []
    assert [wanted for wanted in absent if "mine" in await found(http, metadata=wanted, limit=1000)] == []


async def test_assistants_come_in_pages_and_in_order(http: httpx.AsyncClient) -> None:
    search = {"sort_by": "name", "sort_order": "asc", "select": ["name"]}
    names = [
        each["name"]
        for each in (await http.post("/assistants/search", json={**search, "limit": 1000})).json()
    ]
    assert names == sorted(names)
    page = await http.post("/assistants/search", json={**search, "limit": 2, "offset": 1})
    assert page.json() == [{"name": name} for name in names[1:3]]
    assert (page.headers["x-pagination-total"], page.headers["x-pagination-next"]) == ("4", "3")
    last = await http.post("/assistants/search", json={**search, "offset": len(names) - 1})
    assert last.headers["x-pagination-total"] == str(len(names))
    assert "x-pagination-next" not in last.headers


@pytest.mark.parametrize(
    "search", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"sort_by": "x"}, {"select": ["x"]}]
)
async def test_a_search_is_bounded(http: httpx.AsyncClient, search: dict[str, Any]) -> None:
    answer = await http.post("/assistants/search", json=search)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(next(iter(search)))


async def test_an_assistant_that_is_not_there_is_not_found(http: httpx.AsyncClient) -> None:
    answer = await http.get("/assistants/33333333-3333-4333-8333-333333333333")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    answer = await http.get("/assistants/steps")
    assert (answer.status_code, answer.json()) == (422, {"detail": "Invalid assistant ID: must be a UUID"})


async def test_somebody_elses_assistant_is_not_there(http: httpx.AsyncClient) -> None:
    def create() -> Assistant:
        now = timezone.now()
        user = get_user_model().objects.create_user("other")
        return Assistant.objects.create(
            user=user, graph_id="steps", name="theirs", created_at=now, updated_at=now
        )

    theirs = await in_database(create)
    assert (await http.get(f"/assistants/{theirs.id}")).status_code == 404
    assert await found(http, name="theirs") == []
    run = await http.post("/runs", json={"assistant_id": str(theirs.id)})
    assert (run.status_code, run.json()) == (404, {"detail": "Thread or assistant not found."})
