"""Stored data and pages are bounded in bytes: a page has fewer rows, and the next offset."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.contrib.auth import get_user_model

from runs.encoding import encode
from runs.identity.local import local_user_id
from tests.support.rows import make_assistant, make_run, make_thread
from threads.db.database import in_database

TEXT = "x" * 400


def five(kind: str) -> str:
    """Create five rows of one kind, each with some 400 bytes.

    Return their thread, if they have one.
    """
    user = get_user_model().objects.get(pk=local_user_id())
    thread = make_thread(user=user, metadata={"graph_id": "steps"})
    for number in range(5):
        match kind:
            case "threads":
                make_thread(user=user, values={"number": number, "text": TEXT}, epoch=1)
            case "runs":
                make_run("success", thread=thread, kwargs={"input": {"text": TEXT}})
            case "assistants":
                make_assistant(user=user, metadata={"mine": True}, context={"text": TEXT})
    if kind == "threads":
        thread.delete()
    return str(thread.id)


@pytest.mark.parametrize("kind", ["threads", "runs", "assistants"])
async def test_a_page_has_as_many_rows_as_fit_and_says_where_to_go_on(
    url: str, run_settings: Any, kind: str
) -> None:
    thread_id = await in_database(five, kind)
    run_settings(PAGE_LIMIT=1000)
    sizes, offset = [], 0
    async with httpx.AsyncClient(base_url=url) as client:
        while True:
            if kind == "runs":
                address = f"/threads/{thread_id}/runs?limit=10&offset={offset}"
                answer = await client.get(address)
            else:
                body = {
                    "limit": 10,
                    "offset": offset,
                    "metadata": {"mine": True} if kind == "assistants" else {},
                }
                answer = await client.post(f"/{kind}/search", json=body)
            assert answer.status_code == 200, answer.text
            sizes.append(len(answer.json()))
            if "X-Pagination-Next" not in answer.headers:
                break
            offset = int(answer.headers["X-Pagination-Next"])
    assert sizes == [2, 2, 1]


async def test_columns_that_are_not_read_count_nothing(url: str, run_settings: Any) -> None:
    await in_database(five, "threads")
    run_settings(PAGE_LIMIT=1000)
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post("/threads/search", json={"limit": 10, "select": ["thread_id"]})
    assert len(answer.json()) == 5


async def test_a_history_ends_where_it_is_large_enough(url: str, run_settings: Any) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        run = {"assistant_id": "steps", "input": {"log": [TEXT]}}
        thread = (await client.post("/threads", json={})).json()["thread_id"]
        await client.post(f"/threads/{thread}/runs/wait", json=run)
        whole = (await client.get(f"/threads/{thread}/history?limit=100")).json()
        run_settings(PAGE_LIMIT=4000)
        found: list[Any] = []
        pages = 0
        while len(found) < len(whole) and pages < 20:
            body = {"limit": 100, "before": found[-1]["checkpoint_id"]} if found else {"limit": 100}
            page = await client.post(f"/threads/{thread}/history", json=body)
            found += page.json()
            pages += 1
            assert len(page.json()) == 1 or len(page.content) <= 4000 + len(page.json())
    assert found == whole
    assert pages > 2


@pytest.mark.parametrize(
    ("setting", "method", "path", "body"),
    [
        ("ITEM_LIMIT", "PUT", "/store/items", {"namespace": ["a"], "key": "k", "value": {"text": TEXT}}),
        ("ASSISTANT_LIMIT", "POST", "/assistants", {"graph_id": "steps", "context": {"text": TEXT}}),
        ("EDIT_LIMIT", "POST", "/threads/{}/state", {"values": {"log": [TEXT]}, "as_node": "s0"}),
    ],
)
async def test_what_is_kept_is_bounded(
    url: str, run_settings: Any, setting: str, method: str, path: str, body: Any
) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        made = await client.post("/threads", json={"metadata": {"graph_id": "steps"}})
        path = path.format(made.json()["thread_id"])
        run_settings(**{setting: 300})
        refused = await client.request(method, path, json=body)
        assert refused.status_code == 413, refused.text
        assert "at most 300 bytes" in refused.json()["detail"]
        run_settings(**{setting: 3000})
        assert (await client.request(method, path, json=body)).is_success


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/threads/{}"),
        ("PATCH", "/threads/{}/state"),
        ("POST", "/threads/{}/copy"),
        ("POST", "/threads"),
    ],
)
async def test_metadata_are_bounded_as_they_are_merged(
    url: str, run_settings: Any, method: str, path: str
) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        made = await client.post("/threads", json={"metadata": {"graph_id": "steps", "first": TEXT}})
        path = path.format(made.json()["thread_id"])
        first = {"values": {"log": ["x"]}, "as_node": "s0"}
        assert (await client.post(f"/threads/{made.json()['thread_id']}/state", json=first)).is_success
        codes = []
        for number in range(3):
            # What was stored before the limit can be neither copied nor made larger.
            run_settings(EDIT_LIMIT=350 if path.endswith("copy") else 1200)
            name = "one" if path == "/threads" else f"more{number}"
            size = 3 if path == "/threads" else 1
            answer = await client.request(method, path, json={"metadata": {name: TEXT * size}})
            codes.append(answer.status_code)
        refused = answer.json()["detail"]
        state = (await client.get(f"/threads/{made.json()['thread_id']}/state")).json()
        thread = (await client.get(f"/threads/{made.json()['thread_id']}")).json()
    assert codes[-1] == 413, codes
    assert "metadata has at most" in refused
    assert max(len(encode(each["metadata"])) for each in (state, thread)) <= 1200


async def test_merged_metadata_have_a_bounded_number_of_values(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        thread = (await client.post("/threads", json={})).json()["thread_id"]
        codes = []
        for name in ("a", "b"):
            metadata = {name: list(range(6000))}
            codes.append((await client.patch(f"/threads/{thread}", json={"metadata": metadata})).status_code)
    assert codes == [200, 413]


async def test_a_patch_cannot_make_an_assistant_larger_than_it_may_be(url: str, run_settings: Any) -> None:
    run_settings(ASSISTANT_LIMIT=1300)
    async with httpx.AsyncClient(base_url=url) as client:
        made = await client.post("/assistants", json={"graph_id": "steps", "context": {"text": TEXT}})
        patch = {"metadata": {"more": TEXT + TEXT}}
        refused = await client.patch(f"/assistants/{made.json()['assistant_id']}", json=patch)
    assert (made.status_code, refused.status_code) == (200, 413)
