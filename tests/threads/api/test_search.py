"""Finding and changing threads over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import NotFoundError

from runs.identity.local import local_user_id
from tests.support.rows import make_thread
from threads.api import searching
from threads.api.schemas import ThreadSearch
from threads.db.database import in_database
from threads.models import Thread

SHOWN = [
    "thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "status", "config", "values",
]  # fmt: skip


def threads_of_local_user() -> list[str]:
    """Three threads, the oldest first."""
    user = get_user_model().objects.get(pk=local_user_id())
    made = [
        make_thread(
            user=user,
            metadata={"suite": "a", "number": 1, "tags": ["x", "y"]},
            values={"log": ["p"], "messages": [{"id": "m1", "content": "hi"}, {"id": "m2", "content": "bye"}]},
            epoch=2,
        ),
        make_thread(user=user, metadata={"suite": "a", "deep": {"k": {"j": 2.5}}}, status="interrupted", epoch=1,
                    interrupts={"t": [{"id": "i", "value": {"question": 1}}]}),
        make_thread(user=user, metadata={"suite": "b"}, values={"log": ["p", "q"], "nul": "\0"}),
    ]  # fmt: skip
    return [str(thread.id) for thread in made]


@pytest.fixture
async def three(url: str) -> list[str]:
    return await in_database(threads_of_local_user)


async def found(sdk: LangGraphClient, **search: Any) -> list[str]:
    threads = await sdk.threads.search(select=["thread_id"], **search)
    assert all(list(thread) == ["thread_id"] for thread in threads)
    return [thread["thread_id"] for thread in threads]


async def test_every_condition_narrows(sdk: LangGraphClient, three: list[str]) -> None:
    first, second, third = three
    assert await found(sdk) == [third, second, first]
    assert await found(sdk, metadata={"suite": "a"}) == [second, first]
    assert await found(sdk, metadata={"suite": "a", "number": 1}) == [first]
    assert await found(sdk, metadata={"tags": ["y"]}) == [first]
    assert await found(sdk, metadata={"deep": {"k": {"j": 2.5}}}) == [second]
    assert await found(sdk, metadata={"number": True}) == []
    assert await found(sdk, values={"log": ["p"]}) == [third, first]
    assert await found(sdk, values={"messages": [{"content": "bye"}]}) == [first]
    assert await found(sdk, values={"log": ["z"]}) == []
    assert await found(sdk, status="interrupted") == [second]
    assert await found(sdk, ids=[first, third]) == [third, first]
    assert await found(sdk, ids=[first, third], metadata={"suite": "b"}) == [third]
    assert await found(sdk, ids=[str(uuid4())]) == []


async def test_every_order_has_two_directions(sdk: LangGraphClient, three: list[str]) -> None:
    columns: list[Any] = ["thread_id", "status", "created_at", "updated_at", "state_updated_at"]
    for column in columns:
        up = await found(sdk, sort_by=column, sort_order="asc")
        down = await found(sdk, sort_by=column, sort_order="desc")
        assert set(up) == set(three)
        assert up == down[::-1]
        if column != "status":
            assert up == three


async def test_the_headers_tell_of_the_pages(http: httpx.AsyncClient, three: list[str]) -> None:
    pages, body = [], {"limit": 2, "offset": 0, "select": ["thread_id"]}
    answer = await http.post("/threads/search", json=body)
    assert (answer.headers["x-pagination-total"], answer.headers["x-pagination-next"]) == ("3", "2")
    pages += answer.json()
    answer = await http.post("/threads/search", json={**body, "offset": 2})
    assert answer.headers["x-pagination-total"] == "3"
    assert "x-pagination-next" not in answer.headers
    pages += answer.json()
    assert [thread["thread_id"] for thread in pages] == three[::-1]
    answer = await http.post("/threads/search", json={"offset": 200})
    assert (answer.json(), answer.headers["x-pagination-total"]) == ([], "200")


async def test_threads_come_whole_by_default(http: httpx.AsyncClient, three: list[str]) -> None:
    third, second, first = (await http.post("/threads/search", json={})).json()
    assert list(third) == SHOWN
    assert list(first) == list(second) == [*SHOWN, "error", "interrupts"]
    assert (await http.get(f"/threads/{three[0]}")).json() == first


async def test_single_values_can_be_extracted(sdk: LangGraphClient, three: list[str]) -> None:
    paths = {
        "last": "values.messages[-1].content",
        "first": "values.messages[0]",
        "suite": "metadata.suite",
        "out": "values.messages[9]",
        "none": "values.zz.y",
        "question": "interrupts.t[0].value.question",
    }
    third, second, first = await sdk.threads.search(select=["thread_id"], extract=paths)
    assert first == {
        "thread_id": three[0],
        "extracted": {
            "last": "bye",
            "first": {"id": "m1", "content": "hi"},
            "suite": "a",
            "out": None,
            "none": None,
            "question": None,
        },
    }
    assert second["extracted"]["question"] == 1
    assert third["extracted"]["last"] is None


async def test_counts_follow_the_same_conditions(sdk: LangGraphClient, three: list[str]) -> None:
    assert await sdk.threads.count() == 3
    assert await sdk.threads.count(metadata={"suite": "a"}) == 2
    assert await sdk.threads.count(values={"log": ["p"]}) == 2
    assert await sdk.threads.count(status="busy") == 0


async def test_nobody_finds_what_is_not_theirs_nor_what_is_gone(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, three: list[str]
) -> None:
    for body in ({}, {"ids": three}, {"metadata": {"suite": "a"}}):
        assert (await stranger.post("/threads/search", json=body)).json() == []
    assert (await stranger.post("/threads/count", json={})).json() == 0
    await in_database(Thread.objects.filter(id=three[0]).update, discarded_at="2026-01-01T00:00:00Z")
    assert (await http.post("/threads/count", json={})).json() == 2


NONSENSE: list[Any] = [
    ({"limit": 0}, "limit: input should be greater than or equal to 1."),
    ({"limit": 1001}, "limit: input should be less than or equal to 1000."),
    ({"offset": -1}, "offset: "),
    ({"status": "bogus"}, "status: input should be 'idle', 'busy', 'interrupted' or 'error'."),
    ({"sort_by": "bogus"}, "sort_by: input should be 'thread_id'"),
    ({"select": ["bogus"]}, "select.0: input should be 'thread_id'"),
    ({"ids": ["x"]}, "ids.0: "),
    ({"extract": {"a": "foo.bar"}}, "extract: extract path 'foo.bar' must start with one of: config, interrupts"),
    ({"extract": {"a": "values[x]"}}, "extract: extract path 'values[x]' must be like"),
    ({"extract": {str(n): "values" for n in range(11)}}, "extract: dictionary should have at most 10 items"),
    ({"metadata": []}, "metadata: "),
]  # fmt: skip


async def test_a_search_that_makes_no_sense_is_refused(http: httpx.AsyncClient) -> None:
    for body, detail in NONSENSE:
        answer = await http.post("/threads/search", json=body)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(detail)


async def test_what_no_database_can_store_is_refused(http: httpx.AsyncClient) -> None:
    for content in (
        b'{"metadata":{"a":NaN}}',
        b'{"values":{"a":"\\ud800"}}',
        b'{"metadata":{"a":1e999}}',
    ):
        for path in ("/threads", "/threads/search", "/threads/count", "/threads/prune"):
            answer = await http.post(path, content=content)
            assert (answer.status_code, path, content) == (422, path, content)


async def test_who_selects_nothing_gets_everything(http: httpx.AsyncClient) -> None:
    made = (await http.post("/threads", json={})).json()
    for path in ("/threads/search", "/assistants/search"):
        [first, *_] = (await http.post(path, json={"select": []})).json()
        assert first == (await http.post(path, json={})).json()[0]
    assert (await http.post("/threads/search", json={"select": []})).json() == [made]


async def test_numbers_of_any_size_are_taken(http: httpx.AsyncClient) -> None:
    for number in (b"123456789012345678901234567890", b"1e308", b"-0.0", b"1e-400"):
        body = b'{"metadata":{"a":' + number + b"}}"
        assert (await http.post("/threads", content=body)).status_code == 200
        assert len((await http.post("/threads/search", content=body)).json()) >= 1


def test_a_page_is_read_by_its_keys_without_what_nobody_asked_for(db: None, run_settings: Any) -> None:
    thread = make_thread(values={"log": []}, metadata={"suite": "a"})

    class Owner:
        user_id = thread.user_id

    for fields in (
        {},
        {"select": ["thread_id"], "metadata": {"suite": "a"}},
        {"extract": {"a": "metadata.suite"}, "values": {"log": []}},
    ):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            shown, _ = searching.page(ThreadSearch(**fields), principal=Owner())
        # A search by values also has a time limit, which is an extra statement on PostgreSQL.
        *sizes, query = [query["sql"] for query in queries if " FROM " in query["sql"]]
        assert len(shown) == 1
        assert len(sizes) == ("select" not in fields)
        assert len(queries) == 1 + len(sizes) or "values" in fields
        selected = query.split(" FROM ")[0]
        assert ('"values"' in selected) == ("select" not in fields)


# --- changing


async def test_metadata_are_merged_key_by_key(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create(metadata={"a": 1, "b": {"c": 2}})
    changed = await sdk.threads.update(thread["thread_id"], metadata={"b": {"d": 3}, "e": None})
    assert changed["metadata"] == {"a": 1, "b": {"d": 3}, "e": None}
    assert changed["updated_at"] > thread["updated_at"]
    assert changed["state_updated_at"] == thread["state_updated_at"]
    assert await sdk.threads.get(thread["thread_id"]) == changed


async def test_a_time_to_live_can_be_given_later(http: httpx.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    answer = await http.patch(f"/threads/{thread}", json={"ttl": {"ttl": 5, "strategy": "keep_latest"}})
    assert answer.status_code == 200
    shown = (await http.get(f"/threads/{thread}?include=ttl")).json()["ttl"]
    assert (shown["ttl_minutes"], shown["strategy"]) == (5, "keep_latest")


async def test_a_client_can_ask_for_no_answer(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    assert await sdk.threads.update(thread, metadata={"a": 1}, return_minimal=True) is None
    assert (await sdk.threads.get(thread))["metadata"] == {"a": 1}


async def test_what_the_server_names_cannot_be_set(http: httpx.AsyncClient) -> None:
    stolen = dict.fromkeys(
        (
            "thread_id",
            "run_id",
            "user_id",
            "__pregel_x",
            "counters_since_delta_snapshot",
            "langgraph_auth_user",
        ),
        1,
    )
    thread = (await http.post("/threads", json={"metadata": {**stolen, "mine": 1}})).json()
    assert thread["metadata"] == {"mine": 1}
    answer = await http.patch(f"/threads/{thread['thread_id']}", json={"metadata": stolen})
    assert answer.json()["metadata"] == {"mine": 1}


async def test_only_its_owner_changes_a_thread(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, sdk: LangGraphClient
) -> None:
    thread = (await http.post("/threads", json={})).json()["thread_id"]
    answer = await stranger.patch(f"/threads/{thread}", json={"metadata": {"a": 1}})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert (await http.get(f"/threads/{thread}")).json()["metadata"] == {}
    with pytest.raises(NotFoundError):
        await sdk.threads.update(str(uuid4()), metadata={"a": 1})
    for body in ({"ttl": -1}, {"metadata": [1]}, {"metadata": {"graph_id": 1}}):
        assert (await http.patch(f"/threads/{thread}", json=body)).status_code == 422
