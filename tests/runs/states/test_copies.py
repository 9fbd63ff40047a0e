"""A copy of a thread is made in short transactions, and is complete or does not exist."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from runs.states import copies
from tests.support.api import url
from threads.checkpoints.copies import Part, pages
from threads.db.database import in_database
from threads.models import Thread

__all__ = ["url"]


async def with_history(client: httpx.AsyncClient) -> str:
    """Create a thread with some checkpoints; return its id."""
    thread = (await client.post("/threads", json={})).json()["thread_id"]
    run = {"assistant_id": "steps", "input": {"log": ["a"]}}
    assert (await client.post(f"/threads/{thread}/runs/wait", json=run)).is_success
    return str(thread)


async def states(client: httpx.AsyncClient, thread: str) -> list[Any]:
    found = (await client.post(f"/threads/{thread}/history", json={"limit": 100})).json()
    return [
        (each["checkpoint_id"], each["parent_checkpoint_id"], each["values"], each["next"]) for each in found
    ]


async def hidden() -> int:
    return await in_database(Thread.objects.filter(discarded_at__isnull=False).count)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pages of one checkpoint each; the number of parts in each transaction."""
    done: list[int] = []
    copy_parts = copies.copy_parts

    def counted(source: UUID, target: UUID, page: Any, **options: Any) -> None:
        done.append(len(page))
        copy_parts(source, target, page, **options)

    monkeypatch.setattr(copies, "pages", lambda parts: pages(parts, rows=1))
    monkeypatch.setattr(copies, "copy_parts", counted)
    return done


async def test_a_copy_in_many_transactions_is_the_same(url: str, turns: list[int]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        thread = await with_history(client)
        copy = (await client.post(f"/threads/{thread}/copy")).json()["thread_id"]
        before = await states(client, thread)
        assert len(before) > 2
        assert await states(client, copy) == before
        sizes = [(await client.get(f"/threads/{each}/storage")).json() for each in (thread, copy)]
    assert len(turns) >= len(before)
    assert set(turns) == {1}
    assert sizes[0]["checkpoints"]["count"] == sizes[1]["checkpoints"]["count"]
    assert sizes[0]["pending_writes"] == sizes[1]["pending_writes"]


async def test_what_is_too_large_is_not_copied(url: str, run_settings: Any) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        thread = await with_history(client)
        run_settings(COPY_LIMIT=100)
        before = await hidden()
        refused = await client.post(f"/threads/{thread}/copy")
        assert refused.status_code == 413
        assert "at most 100 bytes" in refused.json()["detail"]
        # The copy was abandoned, so that the next sweep removes it.
        assert await hidden() == before + 1
        run_settings(COPY_LIMIT=0)
        assert (await client.post(f"/threads/{thread}/copy")).is_success


async def test_checkpoints_that_are_deleted_meanwhile_end_the_copy(
    url: str, turns: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = copies.parts_of

    def with_a_lost_one(source: UUID, **options: Any) -> Any:
        parts = listed(source, **options)
        return [*parts, Part("checkpoints", ("", "gone"), 1, 1)]

    monkeypatch.setattr(copies, "parts_of", with_a_lost_one)
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        thread = await with_history(client)
        refused = await client.post(f"/threads/{thread}/copy")
        assert refused.status_code == 409, refused.text
        found = (await client.post("/threads/search", json={})).json()
    assert [each["thread_id"] for each in found] == [thread]
