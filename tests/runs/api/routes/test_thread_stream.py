"""The stream of a thread over HTTP (wire protocol §3.5)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import httpx
from langgraph_sdk.client import LangGraphClient

from tests.runs.api.routes.test_streams import HI, frames, new_thread, talk

DONE = b'"status":"run_done"'


async def stream(
    http: httpx.AsyncClient, thread: str, *, ends: int, last: str | None = "-", **query: Any
) -> list[tuple[str, Any, str]]:
    """Read a thread's stream until this many runs have ended."""
    headers = {"Last-Event-ID": last} if last is not None else {}
    wire = b""
    async with (
        asyncio.timeout(20),
        http.stream("GET", f"/threads/{thread}/stream", params=query, headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for chunk in answer.aiter_raw():
            wire += chunk
            if wire.count(DONE) >= ends:
                break
    return frames(wire)


async def run_twice(http: httpx.AsyncClient) -> tuple[str, list[str]]:
    thread, runs = await new_thread(http), []
    for modes in (["updates", "values"], ["messages-tuple"]):
        run = (await http.post(f"/threads/{thread}/runs", json=talk(stream_mode=modes))).json()
        await http.get(f"/threads/{thread}/runs/{run['run_id']}/join")
        runs.append(run["run_id"])
    return thread, runs


async def test_each_run_shows_what_its_creator_asked_for_and_then_its_end(http: httpx.AsyncClient) -> None:
    thread, runs = await run_twice(http)
    found = await stream(http, thread, ends=2)
    names = [name for name, _, _ in found]
    middle = next(number for number, (_, data, _) in enumerate(found) if data.get("status") == "run_done")
    assert set(names[:middle]) == {"metadata", "updates", "values"}
    assert set(names[middle + 1 :]) == {"metadata", "messages"}
    starts = [data for name, data, _ in found if name == "metadata"]
    assert starts == [
        part
        for run in runs
        for part in ({"run_id": run, "attempt": 1}, {"status": "run_done", "run_id": run})
    ]
    ids = [id for _, _, id in found]
    assert all(ids)
    assert len(set(ids)) == len(ids)


async def test_a_reader_goes_on_after_each_event(http: httpx.AsyncClient) -> None:
    thread, _ = await run_twice(http)
    every = await stream(http, thread, ends=2)
    for number in range(0, len(every) - 1, 2):
        rest = every[number + 1 :]
        ends = sum(data.get("status") == "run_done" for _, data, _ in rest if isinstance(data, dict))
        assert await stream(http, thread, ends=ends, last=every[number][2]) == rest


async def test_the_lifecycle_is_starts_and_ends(http: httpx.AsyncClient) -> None:
    thread, _ = await run_twice(http)
    for query in ({"stream_modes": "lifecycle"}, {"stream_mode": '["lifecycle"]'}):
        found = await stream(http, thread, ends=2, **query)
        assert [name for name, _, _ in found] == ["metadata"] * 4


async def test_the_stock_client_follows_a_thread_from_now_on(sdk: LangGraphClient) -> None:
    thread = (await sdk.threads.create())["thread_id"]
    await sdk.runs.wait(thread, "talking", input=HI)
    parts: list[Any] = []
    ready = asyncio.Event()

    async def read() -> None:
        source: Any = await sdk.threads.join_stream(thread, stream_mode=["run_modes", "state_update"])
        async with aclosing(source):
            ready.set()
            async for part in source:
                parts.append(part)
                if isinstance(part.data, dict) and part.data.get("status") == "run_done":
                    return

    reading = asyncio.create_task(read())
    await ready.wait()
    while not reading.done():
        # The reader may not have been connected when the first of them began.
        run: Any = await sdk.runs.create(thread, "talking", input=HI, stream_mode="values")
        await sdk.runs.join(thread, run["run_id"])
        await asyncio.wait([reading], timeout=0.2)
    assert parts[-1].event == "metadata"
    assert {part.event for part in parts} <= {"metadata", "values"}


async def test_all_forms_of_the_start_are_taken(http: httpx.AsyncClient) -> None:
    thread, _ = await run_twice(http)
    for last in ("-", "-1", "0"):
        assert (await stream(http, thread, ends=1, last=last))[0][1]["attempt"] == 1


async def test_cumulative_messages_are_whole_for_who_comes_in_the_middle(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    run = (await http.post(f"/threads/{thread}/runs", json=talk(stream_mode=["messages"]))).json()
    await http.get(f"/threads/{thread}/runs/{run['run_id']}/join")
    every = await stream(http, thread, ends=1)
    partial = [number for number, (name, _, _) in enumerate(every) if name == "messages/partial"]
    rest = await stream(http, thread, ends=1, last=every[partial[1]][2])
    assert rest == every[partial[1] + 1 :]


async def test_what_makes_no_sense_is_refused(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    for query, headers, detail in (
        ({"stream_modes": "bogus"}, {}, "Invalid stream mode: bogus"),
        ({"stream_mode": "lifecycle,values"}, {}, "Invalid stream mode: values"),
        ({}, {"Last-Event-ID": "nonsense"}, "Invalid last-event-id: "),
        ({}, {"Last-Event-ID": "99999999999999999999-1"}, "Invalid last-event-id: "),
    ):
        answer = await http.get(f"/threads/{thread}/stream", params=query, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(detail)


async def test_somebody_elses_thread_has_no_stream(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    thread = await new_thread(http)
    assert (await stranger.get(f"/threads/{thread}/stream")).status_code == 404
