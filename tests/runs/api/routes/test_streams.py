"""Runs with connected clients: streams, awaited results, and clients that leave and return."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.sse import SSEDecoder

from runs.process.current import current

HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


def talk(**fields: Any) -> dict[str, Any]:
    return {"assistant_id": "talking", "input": {**HI, "tokens": 6}, **fields}


def sleep(seconds: float, **fields: Any) -> dict[str, Any]:
    return {"assistant_id": "sleeping", "input": {"log": [], "delay": seconds}, **fields}


async def new_thread(http: httpx.AsyncClient) -> str:
    answer = await http.post("/threads", json={})
    return str(answer.json()["thread_id"])


def frames(wire: bytes) -> list[tuple[str, Any, str]]:
    """(event, data, id) as the stock client's decoder reads them."""
    decoder = SSEDecoder()
    parts = [decoder.decode(line) for line in wire.split(b"\r\n")]
    return [(part.event, part.data, part.id or "") for part in parts if part is not None]


async def status_of(http: httpx.AsyncClient, path: str) -> str:
    return str((await http.get(path)).json().get("status"))


async def eventually(http: httpx.AsyncClient, path: str, holds: Callable[[Any], bool]) -> Any:
    """Poll until the answer matches."""
    async with asyncio.timeout(10):
        while not holds(found := (await http.get(path)).json()):
            await asyncio.sleep(0.02)
    return found


async def until(http: httpx.AsyncClient, path: str, *wanted: str) -> str:
    """Wait until the run has one of these statuses."""
    run = await eventually(http, path, lambda run: run.get("status") in wanted)
    return str(run["status"])


# --- streams


async def test_a_stream_says_where_the_run_is_and_is_not_cached(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    answer = await http.post(f"/threads/{thread}/runs/stream", json=talk())
    run_id = frames(answer.content)[0][1]["run_id"]
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["location"] == f"/threads/{thread}/runs/{run_id}/stream"
    assert answer.headers["content-location"] == f"/threads/{thread}/runs/{run_id}"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"


async def test_a_stream_ends_after_the_run_did(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=talk()) as answer:
        await answer.aread()
        assert await status_of(http, answer.headers["content-location"]) == "success"


async def test_the_stock_client_streams_what_it_asked_for(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create()
    parts = [
        part
        async for part in sdk.runs.stream(
            thread["thread_id"],
            "talking",
            input={**HI, "tokens": 3},
            stream_mode=["messages-tuple", "custom", "values"],
        )
    ]
    assert parts[0].event == "metadata"
    assert parts[0].data["attempt"] == 1
    assert [part.data for part in parts if part.event == "custom"] == [{"progress": 1}]
    assert [part.data[0]["content"] for part in parts if part.event == "messages"] == ["w0 ", "w1 ", "w2 "]
    assert parts[-1].event == "values"
    assert [message["content"] for message in parts[-1].data["messages"]] == ["hi", "w0 w1 w2 "]


async def test_messages_are_cumulative_in_the_stock_client(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create()
    parts = [
        part
        async for part in sdk.runs.stream(
            thread["thread_id"], "talking", input={**HI, "tokens": 3}, stream_mode="messages"
        )
    ]
    assert [part.event for part in parts] == ["metadata", "messages/metadata", *["messages/partial"] * 3]
    assert [part.data[0]["content"] for part in parts[2:]] == ["w0 ", "w0 w1 ", "w0 w1 w2 "]
    assert parts[-1].data[0]["type"] == "ai"


async def test_events_of_subgraphs_come_on_request_with_their_namespace(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create()
    for subgraphs in (False, True):
        parts = [
            part
            async for part in sdk.runs.stream(
                thread["thread_id"],
                "nested",
                input={"log": []},
                stream_mode="updates",
                stream_subgraphs=subgraphs,
            )
        ]
        nested = [part for part in parts if part.event.startswith("updates|child:")]
        assert bool(nested) == subgraphs


@pytest.mark.parametrize("mode", ["debug", "checkpoints"])
async def test_checkpoints_of_the_mode_debug_say_where_things_are(http: httpx.AsyncClient, mode: str) -> None:
    thread = await new_thread(http)
    body = {"assistant_id": "nested", "input": {"log": []}, "stream_mode": mode}
    answer = await http.post(f"/threads/{thread}/runs/stream", json=body)
    shown = [data for name, data, _ in frames(answer.content) if name == mode]
    if mode == "checkpoints":
        assert not [each for each in shown if "checkpoint" in each]
        assert all("state" in task for each in shown for task in each["tasks"])
        return
    found = [each["payload"] for each in shown if each["type"] == "checkpoint"]
    assert found[0]["parent_checkpoint"] is None
    for before, after in itertools.pairwise(found):
        assert after["parent_checkpoint"] == before["checkpoint"]
        assert set(after["checkpoint"]) == {"checkpoint_id", "thread_id", "checkpoint_ns"}
    places = {task["name"]: task.get("checkpoint") for each in found for task in each["tasks"]}
    assert (places["child"]["thread_id"], places["first"]) == (thread, None)
    assert places["child"]["checkpoint_ns"].startswith("child:")
    assert not [
        task for each in found for task in each["tasks"] if task["name"] == "child" and "state" in task
    ]


async def test_a_failure_is_the_last_event(http: httpx.AsyncClient) -> None:
    answer = await http.post("/runs/stream", json={"assistant_id": "failing", "input": {"log": []}})
    assert frames(answer.content)[-1][:2] == ("error", {"error": "ValueError", "message": "kaboom"})


@pytest.mark.parametrize("mode", ["values", "messages", "messages-tuple"])
async def test_a_reader_who_comes_back_misses_and_repeats_nothing(http: httpx.AsyncClient, mode: str) -> None:
    thread = await new_thread(http)
    body = talk(stream_mode=[mode, "custom"])
    whole = await http.post(f"/threads/{thread}/runs/stream", json=body)
    expected = frames(whole.content)
    ids = [event_id for _, _, event_id in expected]
    assert len(set(ids)) > 3
    for event_id in dict.fromkeys(ids):
        rest = await http.get(whole.headers["location"], headers={"Last-Event-ID": event_id})
        # A frame without an id has the previous id.
        last_seen = ids.index(event_id)
        assert [part[:2] for part in frames(rest.content)] == [part[:2] for part in expected[last_seen + 1 :]]


@pytest.mark.parametrize("first", ["-1", "-", "0", "garbage"])
async def test_everything_can_be_replayed(http: httpx.AsyncClient, first: str) -> None:
    thread = await new_thread(http)
    whole = await http.post(f"/threads/{thread}/runs/stream", json=talk())
    again = await http.get(whole.headers["location"], headers={"Last-Event-ID": first})
    assert again.content == whole.content


async def test_a_reader_who_begins_within_a_message_gets_the_whole_message(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    body = talk(stream_mode="messages", input={**HI, "tokens": 8, "delay": 0.05})
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
        async for line in answer.aiter_lines():
            if '"content":"w0 w1 "' in line:
                break
        late = await http.get(answer.headers["location"])
    contents = [data[0]["content"] for event, data, _ in frames(late.content) if event == "messages/partial"]
    assert contents
    assert all(content.startswith("w0 w1 ") for content in contents)
    assert contents[-1] == "".join(f"w{number} " for number in range(8))


async def test_a_finished_run_has_nothing_new(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    whole = await http.post(f"/threads/{thread}/runs/stream", json=talk())
    answer = await http.get(whole.headers["location"])
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["location"] == whole.headers["location"]


@pytest.mark.parametrize(
    ("query", "events"),
    [
        ("stream_mode=custom", {"metadata", "custom"}),
        ("stream_mode=custom&stream_mode=values", {"metadata", "custom", "values"}),
        ("stream_mode=custom,values", {"metadata", "custom", "values"}),
        ('stream_mode=["custom"]', {"metadata", "custom"}),
        ("stream_mode=messages", {"metadata", "messages"}),
        ("stream_mode=bogus", {"metadata"}),
        ("", {"metadata", "custom", "values", "messages"}),
    ],
)
async def test_a_reader_can_ask_for_some_of_the_modes(
    http: httpx.AsyncClient, query: str, events: set[str]
) -> None:
    thread = await new_thread(http)
    body = talk(stream_mode=["values", "custom", "messages-tuple"])
    whole = await http.post(f"/threads/{thread}/runs/stream", json=body)
    answer = await http.get(f"{whole.headers['location']}?{query}", headers={"Last-Event-ID": "-1"})
    assert {event for event, _, _ in frames(answer.content)} == events


async def test_an_idle_stream_and_one_whose_events_are_filtered_send_heartbeats(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(STREAM_HEARTBEAT=0.05)
    thread = await new_thread(http)
    idle = await http.post(f"/threads/{thread}/runs/stream", json=sleep(0.5))
    assert idle.content.count(b": heartbeat\r\n\r\n") >= 3
    body = talk(stream_mode=["messages-tuple", "updates"], input={**HI, "tokens": 25, "delay": 0.02})
    created = await http.post(f"/threads/{thread}/runs", json=body)
    path = f"{created.headers['content-location']}/stream?stream_mode=updates"
    filtered = await http.get(path, headers={"Last-Event-ID": "-1"})
    assert filtered.content.count(b": heartbeat\r\n\r\n") >= 3
    assert [event for event, _, _ in frames(filtered.content)] == ["metadata", "updates"]


async def test_a_run_that_is_not_there_is_an_error_that_clients_do_not_retry(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    nowhere = f"/threads/{thread}/runs/33333333-3333-4333-8333-333333333333"
    error = {"error": "HTTPException", "message": "404: Run not found"}
    stream = await http.get(f"{nowhere}/stream")
    assert (stream.status_code, frames(stream.content)) == (200, [("error", error, "")])
    joined = await http.get(f"{nowhere}/join")
    assert (joined.status_code, joined.json()) == (200, {"__error__": error})


async def test_a_run_is_found_only_on_its_own_thread(http: httpx.AsyncClient) -> None:
    thread, other = await new_thread(http), await new_thread(http)
    created = await http.post(f"/threads/{thread}/runs", json=talk())
    moved = f"/threads/{other}/runs/{created.json()['run_id']}"
    assert (await http.get(moved)).status_code == 404
    assert "__error__" in (await http.get(f"{moved}/join")).json()
    assert frames((await http.get(f"{moved}/stream")).content)[0][0] == "error"


# --- results


async def test_waiting_gives_the_values_that_the_graph_ended_with(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create()
    values = await sdk.runs.wait(thread["thread_id"], "steps", input={"log": []})
    assert values == {"log": [f"s{number}" for number in range(10)]}


async def test_a_question_comes_with_the_values_and_its_answer_goes_on(sdk: LangGraphClient) -> None:
    thread = await sdk.threads.create()
    asked: Any = await sdk.runs.wait(thread["thread_id"], "questions", input={"log": []})
    assert asked["log"] == ["p1", "p2"]
    assert asked["__interrupt__"][0]["value"] == {"question": "first"}
    assert (await sdk.threads.get(thread["thread_id"]))["status"] == "interrupted"
    asked = await sdk.runs.wait(thread["thread_id"], "questions", command={"resume": "one"})
    assert asked["__interrupt__"][0]["value"] == {"question": "second"}


async def test_a_failure_is_an_error_in_the_result(http: httpx.AsyncClient, sdk: LangGraphClient) -> None:
    answer = await http.post("/runs/wait", json={"assistant_id": "failing", "input": {"log": []}})
    assert (answer.status_code, answer.json()) == (
        200,
        {"__error__": {"error": "ValueError", "message": "kaboom"}},
    )
    with pytest.raises(Exception, match="kaboom"):
        await sdk.runs.wait(None, "failing", input={"log": []})


async def test_a_result_that_takes_long_is_preceded_by_newlines(
    http: httpx.AsyncClient, run_settings: Any
) -> None:
    run_settings(STREAM_HEARTBEAT=0.05)
    thread = await new_thread(http)
    answer = await http.post(f"/threads/{thread}/runs/wait", json=sleep(0.5))
    run = answer.headers["content-location"]
    assert answer.headers["location"] == f"{run}/join"
    assert answer.headers["content-type"] == "application/json"
    assert answer.content.startswith(b"\n\n\n")
    assert answer.json()["log"] == ["sleep"]
    joined = await http.get(f"{run}/join")
    assert (joined.json(), joined.headers["location"]) == (answer.json(), f"{run}/join")


async def test_a_run_without_a_thread_can_be_joined_and_streamed_again(http: httpx.AsyncClient) -> None:
    streamed = await http.post("/runs/stream", json=talk(stream_mode="custom"))
    run_id = frames(streamed.content)[0][1]["run_id"]
    assert streamed.headers["location"] == f"/runs/{run_id}/stream"
    assert streamed.headers["content-location"] == f"/runs/{run_id}"
    again = await http.get(streamed.headers["location"], headers={"Last-Event-ID": "-1"})
    assert again.content == streamed.content
    assert (await http.get(f"/runs/{run_id}/join")).json()["messages"]


async def test_waiting_without_a_thread_says_where_the_result_is(http: httpx.AsyncClient) -> None:
    answer = await http.post("/runs/wait", json={"assistant_id": "steps", "input": {"log": []}})
    run = answer.headers["content-location"]
    assert run.startswith("/runs/")
    assert answer.headers["location"].startswith("/threads/")
    assert answer.headers["location"].endswith(f"{run}/join")
    assert (await http.get(answer.headers["location"])).json() == answer.json()


# --- clients that leave


async def leave(http: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None = None) -> str:
    """Begin to read a response, leave, and return the run's path."""
    async with http.stream(method, path, json=body) as answer:
        assert answer.status_code == 200
        run = str(answer.headers["content-location"])
        await until(http, run, "running")
    return run


@pytest.mark.parametrize("kind", ["stream", "wait"])
async def test_a_run_is_cancelled_when_its_client_leaves_if_the_client_said_so(
    http: httpx.AsyncClient, kind: str
) -> None:
    thread = await new_thread(http)
    run = await leave(http, "POST", f"/threads/{thread}/runs/{kind}", sleep(30, on_disconnect="cancel"))
    assert await until(http, run, "interrupted", "success", "error") == "interrupted"


@pytest.mark.parametrize("kind", ["stream", "wait"])
async def test_a_run_goes_on_without_its_client(http: httpx.AsyncClient, kind: str) -> None:
    thread = await new_thread(http)
    run = await leave(http, "POST", f"/threads/{thread}/runs/{kind}", sleep(0.3))
    assert await until(http, run, "interrupted", "success", "error") == "success"


@pytest.mark.parametrize("kind", ["stream", "join"])
async def test_a_later_reader_can_ask_for_the_same(http: httpx.AsyncClient, kind: str) -> None:
    thread = await new_thread(http)
    created = await http.post(f"/threads/{thread}/runs", json=sleep(30))
    run = created.headers["content-location"]
    await leave(http, "GET", f"{run}/{kind}")
    assert await status_of(http, run) == "running"
    await leave(http, "GET", f"{run}/{kind}?cancel_on_disconnect=1")
    assert await until(http, run, "interrupted", "success", "error") == "interrupted"


async def test_a_client_that_stays_until_the_end_cancels_nothing(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    answer = await http.post(f"/threads/{thread}/runs/stream", json=talk(on_disconnect="cancel"))
    assert await status_of(http, answer.headers["content-location"]) == "success"


async def test_the_end_of_the_server_is_not_the_clients_leaving(http: httpx.AsyncClient) -> None:
    thread = await new_thread(http)
    body = sleep(0.5, on_disconnect="cancel")
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
        run = answer.headers["content-location"]
        await until(http, run, "running")
        current().draining = True
    assert await until(http, run, "interrupted", "success", "error") == "success"


async def test_a_client_that_leaves_at_once_leaves_no_run_behind(http: httpx.AsyncClient, url: str) -> None:
    thread = await new_thread(http)
    body = orjson.dumps(sleep(30, on_disconnect="cancel"))
    host, _, port = url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /threads/{thread}/runs/stream HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()
    [run] = await eventually(http, f"/threads/{thread}/runs", bool)
    assert (
        await until(http, f"/threads/{thread}/runs/{run['run_id']}", "interrupted", "success")
        == "interrupted"
    )


async def test_heartbeats_reach_a_reader_who_waits(http: httpx.AsyncClient, run_settings: Any) -> None:
    """A reader of a run that waits in a thread's queue gets them too."""
    run_settings(STREAM_HEARTBEAT=0.05)
    thread = await new_thread(http)
    await http.post(f"/threads/{thread}/runs", json=sleep(0.4))
    async with http.stream("POST", f"/threads/{thread}/runs/stream", json=sleep(0)) as answer:
        chunks: AsyncIterator[bytes] = answer.aiter_bytes()
        assert (await anext(chunks)).startswith(b": heartbeat")
