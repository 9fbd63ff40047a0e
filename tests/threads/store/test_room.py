"""A user's store is bounded, and a full one is not summed up at each put."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from threads.db.database import in_database
from threads.models import StoreItem
from threads.store import room

TEXT = "x" * 400


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch, run_settings: Any) -> list[int]:
    """The sums of all items of a user; at most 2000 bytes are allowed."""
    made: list[int] = []
    held = room.held

    def counted(principal: Any, places: Any = None) -> int:
        size = held(principal, places)
        if places is None:
            made.append(size)
        return size

    room._accounts.clear()
    monkeypatch.setattr(room, "held", counted)
    run_settings(USER_STORE=2000)
    return made


async def put(client: httpx.AsyncClient, key: str, text: str = TEXT) -> int:
    item = {"namespace": ["a"], "key": key, "value": {"text": text}}
    return (await client.put("/store/items", json=item)).status_code


async def delete(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.request("DELETE", "/store/items", json={"namespace": ["a"], "key": key})
    assert answer.status_code == 204, answer.text


async def test_a_store_is_bounded_and_has_room_again_after_a_deletion(url: str, sums: list[int]) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        codes = [await put(client, f"k{number}") for number in range(6)]
        assert codes == [204, 204, 204, 204, 413, 413]
        await delete(client, "k0")
        assert await put(client, "k9") == 204
        assert await put(client, "k10") == 413


async def test_a_full_store_is_summed_up_once(url: str, sums: list[int]) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        codes = [await put(client, f"k{number}") for number in range(10)]
        assert codes == [204] * 4 + [413] * 6
        await delete(client, "k0")
        assert await put(client, "k0") == 204
    assert len(sums) == 1


async def test_a_full_store_takes_a_smaller_value_and_no_larger_one(url: str, sums: list[int]) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        for number in range(4):
            assert await put(client, f"k{number}", "x" * 480) == 204
        assert await put(client, "k1", "x" * 700) == 413
        assert await put(client, "k1", "x" * 300) == 204
        assert await put(client, "k2", "x" * 600) == 204
        assert await put(client, "k3", "x" * 700) == 413


async def test_what_others_deleted_counts_when_the_sum_is_old(
    url: str, sums: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient(base_url=url) as client:
        for number in range(4):
            await put(client, f"k{number}")
        assert await put(client, "more") == 413
        assert len(sums) == 1
        await in_database(StoreItem.objects.filter(key="k0").delete)
        assert await put(client, "more") == 413
        [account] = room._accounts.values()
        account.summed -= room.KEPT
        assert await put(client, "more") == 204
    assert len(sums) == 2
