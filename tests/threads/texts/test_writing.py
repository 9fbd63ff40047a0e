"""A thread's text follows its values, for every writer."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import httpx
import pytest

from threads.db.database import in_database
from threads.models import ThreadText
from threads.texts.writing import mark_of


def hello(text: str, type: str = "human") -> dict[str, Any]:
    return {"messages": [{"type": type, "content": text}]}


async def text_of(thread: str) -> str | None:
    """A thread's stored text, or None."""
    texts = ThreadText.objects.filter(thread=thread).values_list("text", flat=True)
    return await in_database(texts.first)


async def new_thread(http: httpx.AsyncClient, **fields: Any) -> str:
    return str((await http.post("/threads", json=fields)).json()["thread_id"])


async def run(http: httpx.AsyncClient, path: str, text: str, **fields: Any) -> None:
    body = {"assistant_id": "talking", "input": {**hello(text), "tokens": 2}, **fields}
    answer = await http.post(f"{path}/runs/wait", json=body)
    assert answer.status_code == 200, answer.text


async def test_a_run_writes_it(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    assert await text_of(thread) is None
    await run(http, f"/threads/{thread}", "What do herons eat?")
    first = await text_of(thread)
    assert first is not None
    assert first.startswith("What do herons eat?\n")
    await run(http, f"/threads/{thread}", "And storks?")
    second = await text_of(thread)
    assert second is not None
    assert second.startswith(first + "\nAnd storks?\n")


async def test_a_stateless_run_leaves_none(http: httpx.AsyncClient) -> None:
    await run(http, "", "What do herons eat?")
    assert not await in_database(ThreadText.objects.exists)


async def test_a_rollback_takes_it_back(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    await run(http, f"/threads/{thread}", "First")
    first = await text_of(thread)
    body = {"assistant_id": "talking", "input": {**hello("Second"), "tokens": 500, "delay": 0.05}}
    made = (await http.post(f"/threads/{thread}/runs", json=body)).json()
    await http.post(f"/threads/{thread}/runs/{made['run_id']}/cancel?action=rollback&wait=1")
    assert await text_of(thread) == first


async def test_a_stopped_run_writes_what_is_saved(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    body = {"assistant_id": "talking", "input": {**hello("Second"), "tokens": 500, "delay": 0.05}}
    made = (await http.post(f"/threads/{thread}/runs", json=body)).json()
    await http.post(f"/threads/{thread}/runs/{made['run_id']}/cancel?wait=1")
    thread_json = (await http.get(f"/threads/{thread}")).json()
    said = [each["content"] for each in (thread_json["values"] or {}).get("messages", [])]
    assert (await text_of(thread) or "") == "\n".join(said)


async def test_edits_initial_states_and_copies_write_it(http: httpx.AsyncClient) -> None:
    steps = [{"updates": [{"values": hello("Begun"), "as_node": "talk"}]}]
    thread = await new_thread(http, metadata={"graph_id": "talking", "title": "Birds"}, supersteps=steps)
    assert await text_of(thread) == "Begun"
    answer = await http.post(
        f"/threads/{thread}/state", json={"values": hello("Edited", "ai"), "as_node": "talk"}
    )
    assert answer.status_code == 200, answer.text
    assert await text_of(thread) == "Begun\nEdited"
    copy = (await http.post(f"/threads/{thread}/copy")).json()["thread_id"]
    assert await text_of(copy) == "Begun\nEdited"
    found = (await http.post("/threads/search", json={"text": "birds edit", "select": ["thread_id"]})).json()
    assert {each["thread_id"] for each in found} == {thread, copy}


async def test_a_state_without_messages_has_none(http: httpx.AsyncClient) -> None:
    steps = [{"updates": [{"values": {"messages": []}, "as_node": "talk"}]}]
    assert await text_of(await new_thread(http, metadata={"graph_id": "talking"}, supersteps=steps)) is None


@pytest.mark.parametrize(
    "key", [7, UUID("0199aa00-0000-7000-8000-00000000000a"), "ada@example.com", 'o\'hara "x"', "名"]
)
def test_the_mark_of_a_user_is_one_word_whatever_the_key(key: Any) -> None:
    assert re.fullmatch("@[a-z0-9]+", mark_of(key))
    assert mark_of(key) != mark_of(str(key) + "0")
