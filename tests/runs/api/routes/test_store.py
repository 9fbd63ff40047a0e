"""The store over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import LangGraphClient

from tests.threads.store.stores import FIELDS, WORDS

ITEM = {"namespace": ["cap", "x"], "key": "a", "value": {"t": "hello", "n": 1}}


async def test_every_method_of_the_client(sdk: LangGraphClient) -> None:
    store = sdk.store
    assert await store.get_item(["cap", "x"], key="a") is None
    await store.put_item(["cap", "x"], key="a", value={"t": "hello", "n": 1})
    await store.put_item(["cap", "y"], key="b", value={"t": "yo", "n": 2}, index=False, ttl=60)
    item = await store.get_item(["cap", "x"], key="a", refresh_ttl=True)
    assert list(item) == ["namespace", "key", "value", "created_at", "updated_at"]
    assert (item["namespace"], item["key"], item["value"]) == (["cap", "x"], "a", {"t": "hello", "n": 1})
    assert item["created_at"].endswith("+00:00")
    found = await store.search_items(
        ["cap"], filter={"n": {"$gte": 1}}, query="ignored", limit=5, refresh_ttl=False
    )
    assert [(each["key"], each["score"]) for each in found["items"]] == [("b", None), ("a", None)]
    assert [each["key"] for each in (await store.search_items(["cap"], limit=1, offset=1))["items"]] == ["a"]
    assert [each["key"] for each in (await store.search_items([], filter={"t": "yo"}))["items"]] == ["b"]
    listed = await store.list_namespaces(prefix=["cap"], suffix=["*"], max_depth=2, limit=10, offset=0)
    assert listed == {"namespaces": [["cap", "x"], ["cap", "y"]]}
    assert await store.list_namespaces(max_depth=1) == {"namespaces": [["cap"]]}
    await store.delete_item(["cap", "x"], key="a")
    await store.delete_item(["cap", "x"], key="a")
    assert await store.get_item(["cap", "x"], key="a") is None


async def test_every_method_of_the_synchronous_client(url: str) -> None:
    def use() -> Any:
        with get_sync_client(url=url) as client:
            store = client.store
            store.put_item(["a", "b"], key="k", value={"n": 1}, ttl=5)
            item = store.get_item(["a", "b"], key="k")
            found = store.search_items(["a"], filter={"n": 1})["items"]
            namespaces = store.list_namespaces(["a"])["namespaces"]
            store.delete_item(["a", "b"], key="k")
            return (
                item["value"],
                [each["key"] for each in found],
                namespaces,
                store.get_item(["a", "b"], key="k"),
            )

    assert await asyncio.to_thread(use) == ({"n": 1}, ["k"], [["a", "b"]], None)


async def test_answers_are_the_reference_s(http: httpx.AsyncClient) -> None:
    put = await http.put("/store/items", json=ITEM)
    assert (put.status_code, put.content) == (204, b"")
    missing = await http.get("/store/items", params={"namespace": "cap.x", "key": "z"})
    assert (missing.status_code, missing.content) == (200, b"null")
    without_key = await http.get("/store/items", params={"namespace": "cap.x"})
    assert (without_key.status_code, without_key.json()) == (400, {"error": "Key is required"})
    deleted = await http.request("DELETE", "/store/items", json={"namespace": ["cap", "x"], "key": "none"})
    assert deleted.status_code == 204
    for body in ({}, {"namespace_prefix": None, "filter": None, "query": None, "limit": None}):
        everything = await http.post("/store/items/search", json=body)
        assert [item["key"] for item in everything.json()["items"]] == ["a"]


BAD: list[tuple[str, str, Any, int, str]] = [
    ("PUT", "/store/items", ITEM | {"namespace": []}, 400, "Namespace cannot be empty."),
    ("PUT", "/store/items", ITEM | {"namespace": ["langgraph", "x"]}, 400, 'Root label for namespace cannot be "langgraph"'),
    ("PUT", "/store/items", ITEM | {"namespace": ["a.b"]}, 422, "Namespace label 'a.b' must be a non-empty string"),
    ("PUT", "/store/items", ITEM | {"namespace": [""]}, 422, "Namespace label '' must be a non-empty string"),
    ("PUT", "/store/items", ITEM | {"namespace": "a"}, 422, "namespace: "),
    ("PUT", "/store/items", ITEM | {"namespace": [1]}, 422, "namespace.0: "),
    ("PUT", "/store/items", ITEM | {"namespace": ["x" * 2000]}, 400, "A namespace cannot be longer than 1024 bytes."),
    ("PUT", "/store/items", ITEM | {"key": ""}, 422, "A key cannot be empty."),
    ("PUT", "/store/items", ITEM | {"key": "k" * 2000}, 422, "A key cannot be longer than 1024 bytes."),
    ("PUT", "/store/items", {"namespace": ["c"], "key": "a"}, 422, "value is required."),
    ("PUT", "/store/items", ITEM | {"value": [1]}, 422, "value: "),
    ("PUT", "/store/items", ITEM | {"ttl": 0}, 422, "A time to live is a positive number of minutes"),
    ("PUT", "/store/items", ITEM | {"ttl": -5}, 422, "A time to live is a positive number of minutes"),
    ("PUT", "/store/items", ITEM | {"index": True}, 422, "index: an index is false, or a list of paths"),
    ("PUT", "/store/items", ITEM | {"index": [1]}, 422, "index: an index is false, or a list of paths"),
    ("PUT", "/store/items", [ITEM], 422, ""),
    ("GET", "/store/items?namespace=&key=a", None, 400, "Namespace cannot be empty."),
    ("GET", "/store/items?namespace=a..b&key=a", None, 422, "Namespace label '' must be"),
    ("GET", "/store/items?namespace=a%00&key=a", None, 422, "Namespace labels have no NUL"),
    ("GET", "/store/items?namespace=a&key=a&refresh_ttl=x", None, 422, "refresh_ttl: "),
    ("DELETE", "/store/items", {"namespace": ["a"]}, 422, "key is required."),
    ("POST", "/store/items/search", {"namespace_prefix": ["a.b"]}, 422, "Namespace label 'a.b'"),
    ("POST", "/store/items/search", {"filter": {"n": {"$in": []}}}, 422, "The filter's operator '$in' is not known"),
    ("POST", "/store/items/search", {"filter": {"n": {"$gt": []}}}, 422, "The filter's $gt needs a number or a text."),
    ("POST", "/store/items/search", {"limit": 0}, 422, "limit: "),
    ("POST", "/store/items/search", {"offset": -1}, 422, "offset: "),
    ("POST", "/store/namespaces", {"max_depth": 0}, 422, "max_depth: "),
    ("POST", "/store/namespaces", {"prefix": [""]}, 422, "Namespace label ''"),
]  # fmt: skip


async def test_bad_input_is_answered_with_a_sentence_and_changes_nothing(http: httpx.AsyncClient) -> None:
    for method, path, body, status, reason in BAD:
        answer = await http.request(method, path, json=body)
        assert answer.status_code == status, (method, path, body, answer.text)
        assert answer.json()["detail"].startswith(reason), (body, answer.text)
    assert (await http.post("/store/items/search", json={})).json() == {"items": []}


async def test_a_key_that_no_database_has_is_not_there(http: httpx.AsyncClient) -> None:
    answer = await http.get("/store/items?namespace=a&key=%00")
    assert (answer.status_code, answer.content) == (200, b"null")


async def test_another_user_s_items_do_not_exist(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await http.put("/store/items", json=ITEM)
    place = {"namespace": "cap.x", "key": "a"}
    assert (await stranger.get("/store/items", params=place)).content == b"null"
    assert (await stranger.post("/store/items/search", json={})).json() == {"items": []}
    assert (await stranger.post("/store/namespaces", json={})).json() == {"namespaces": []}
    body = {"namespace": ["cap", "x"], "key": "a"}
    assert (await stranger.request("DELETE", "/store/items", json=body)).status_code == 204
    assert (await stranger.put("/store/items", json=body | {"value": {"mine": False}})).status_code == 204
    assert (await http.get("/store/items", params=place)).json()["value"] == ITEM["value"]


async def test_a_query_ranks_where_an_embedding_is_configured(
    sdk: LangGraphClient, run_settings: Any
) -> None:
    index = {"embed": "tests.threads.store.stores:embed", "dims": len(WORDS), "fields": FIELDS}
    run_settings(STORE={"index": index})
    for text in ("car train", "apple pear", "apple"):
        await sdk.store.put_item(["docs"], key=text, value={"text": text})
    await sdk.store.put_item(["docs"], key="title", value={"title": "apple apple"}, index=["title"])
    found = (await sdk.store.search_items(["docs"], query="apple", limit=3))["items"]
    assert {item["key"] for item in found[:2]} == {"apple", "title"}
    assert [item["score"] for item in found] == pytest.approx([1.0, 1.0, 0.5**0.5], abs=1e-6)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"filter": {"n": {"$gte": 0}}},
        {"query": "apple"},
        {"query": "apple", "filter": {"n": {"$gte": 0}}},
    ],
)
async def test_a_page_has_as_many_items_as_fit_and_the_client_goes_on(
    sdk: LangGraphClient, run_settings: Any, how: dict[str, Any]
) -> None:
    index = {"embed": "tests.threads.store.stores:embed", "dims": len(WORDS), "fields": FIELDS}
    run_settings(STORE={"index": index}, PAGE_LIMIT=1000)
    for number in range(5):
        await sdk.store.put_item(["docs"], key=str(number), value={"n": number, "text": "apple " * 65})
    for limit, expected in ((10, [2, 2, 1]), (1, [1, 1, 1, 1, 1])):
        sizes, keys = list[int](), set[str]()
        offset: int | None = 0
        while offset is not None:
            page: Any = await sdk.store.search_items(["docs"], limit=limit, offset=offset, **how)
            sizes.append(len(page["items"]))
            keys |= {item["key"] for item in page["items"]}
            offset = page.get("next_offset")
        assert [size for size in sizes if size] == expected
        assert len(keys) == 5


async def test_an_item_larger_than_a_page_is_a_page(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(PAGE_LIMIT=100)
    for key in ("a", "b"):
        await http.put("/store/items", json=ITEM | {"key": key, "value": {"text": "x" * 500}})
    answer = await http.post("/store/items/search", json={})
    assert [each["key"] for each in answer.json()["items"]] == ["b"]
    assert answer.json()["next_offset"] == 1
    assert answer.headers["X-Pagination-Next"] == "1"
    last = await http.post("/store/items/search", json={"offset": 1})
    assert [each["key"] for each in last.json()["items"]] == ["a"]
    assert "next_offset" not in last.json()
    assert last.headers["X-Pagination-Total"] == "2"


async def test_an_embedding_that_does_not_answer_is_a_503(http: httpx.AsyncClient, run_settings: Any) -> None:
    run_settings(STORE={"index": {"embed": "tests.threads.store.stores:embed", "dims": 2}})
    answer = await http.put("/store/items", json=ITEM)
    assert answer.status_code == 503
    assert "has 4 dimensions, and 2 are configured" in answer.json()["detail"]
    assert (await http.post("/store/items/search", json={})).json() == {"items": []}
