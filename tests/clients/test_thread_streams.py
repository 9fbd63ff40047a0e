"""`threads.stream` of the Python SDK over both transports, and `stream_events(version="v3")` of `RemoteGraph` above it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal
from uuid import uuid4

import httpx
import pytest
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.processes.harness import Site

pytestmark = pytest.mark.sqlite

Transport = Literal["sse", "websocket"]
BOTH = pytest.mark.parametrize("transport", ["sse", "websocket"])


@pytest.fixture
async def client(either: Site) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=either.process.url, api_key=None) as made, asyncio.timeout(40):
        yield made


@pytest.fixture
def sync_client(either: Site) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=either.process.url, api_key=None) as made:
        yield made


def say(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@BOTH
async def test_words_follow_each_other(client: LangGraphClient, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        await thread.run.start(input=say("talk 8 0.02"))
        # A message grows while the next one is awaited, because the client has a single reader.
        [message] = [message async for message in thread.messages]
        words = [word async for word in message.text]
        assert words == [f"w{place} " for place in range(8)]
        output = await thread.output
        assert output["messages"][-1]["content"] == "".join(words)


@BOTH
async def test_words_of_a_model_whose_events_a_node_reads(
    client: LangGraphClient, transport: Transport
) -> None:
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        await thread.run.start(input=say("speak 8 0.02"))
        [message] = [message async for message in thread.messages]
        words = [word async for word in message.text]
        assert words == [f"w{place} " for place in range(8)]
        [block] = (await thread.output)["messages"][-1]["content"]
        assert block["text"] == "".join(words)


@BOTH
async def test_nothing_of_a_quick_run_is_missed(client: LangGraphClient, transport: Transport) -> None:
    """The client reads ends and content on two connections; an end on one closes the other."""
    for number in range(5):
        async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
            await thread.run.start(input=say(f"talk {number + 1}"))
            [message] = [message async for message in thread.messages]
            assert await message.text == "".join(f"w{place} " for place in range(number + 1))


@BOTH
async def test_tools_states_and_subgraphs(client: LangGraphClient, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        await thread.run.start(input=say("weather Bern"))
        calls = [call async for call in thread.tool_calls]
        assert [(call.name, call.input) for call in calls] == [("weather", {"place": "Bern"})]
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        await thread.run.start(input=say("march 3"))
        # The client reads the current state, then streams from the beginning.
        _, *counted = [values.get("steps", 0) async for values in thread.values]
        assert counted == [0, 1, 2, 3]
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        await thread.run.start(input=say("delegate 3"))
        assert [subgraph.graph_name async for subgraph in thread.subgraphs] == ["team"]


@BOTH
async def test_a_question_is_answered(client: LangGraphClient, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        await thread.run.start(input=say("ask"))
        async for _ in thread.values:
            pass
        [question] = thread.interrupts
        assert question["value"] == {"question": "well?"}
        await thread.run.respond("yes")
        output = await thread.output
        assert output["messages"][-1]["content"] == "You said yes."


@BOTH
async def test_a_cancelled_run_ends(client: LangGraphClient, transport: Transport) -> None:
    """The SDK's iterators end at `completed`, `failed` or an interrupt.

    A cancelled run has none of them.
    """
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        run = await thread.run.start(input=say("march 500 0.05"))
        steps = 0
        async with asyncio.timeout(20):
            async for values in thread.values:
                if not steps and values.get("steps"):
                    await client.runs.cancel(thread.thread_id, run["run_id"])
                steps = values.get("steps", 0)
            assert 0 < steps < 500
            output = await thread.output
        assert output["messages"][0]["content"] == "march 500 0.05"
        assert output["steps"] >= steps
        assert not thread.interrupted
        again = await thread.run.start(input=say("talk 2"))
        assert again["run_id"] != run["run_id"]
        [message] = [message async for message in thread.messages]
        assert await message.text == "w0 w1 "


@BOTH
async def test_a_failure_is_told_and_a_later_reader_has_everything(
    client: LangGraphClient, transport: Transport
) -> None:
    async with client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        await thread.run.start(input=say("fail"))
        with pytest.raises(Exception, match="kaboom"):
            await thread.output
    again = client.threads.stream(thread.thread_id, assistant_id="obeying", transport=transport)
    async with again:
        told = []
        async for event in again.events:
            told.append(event["params"]["data"].get("event") if event["method"] == "lifecycle" else None)
            if told[-1] == "failed":
                break
        assert told[0] == "running"


@BOTH
def test_the_sync_client(sync_client: SyncLangGraphClient, transport: Transport) -> None:
    with sync_client.threads.stream(assistant_id="obeying", transport=transport) as thread:
        thread.run.start(input=say("talk 3"))
        [message] = list(thread.messages)
        assert str(message.text) == "w0 w1 w2 "
        assert thread.output["messages"][-1]["content"] == "w0 w1 w2 "


async def test_the_remote_graph(either: Site, client: LangGraphClient) -> None:
    remote = RemoteGraph("obeying", client=client)
    config: Any = {"configurable": {"thread_id": str(uuid4())}}
    async with await remote.astream_events(say("talk 2"), config, version="v3") as run:
        [message] = [message async for message in run.messages]
        assert await message.text == "w0 w1 "
        assert (await run.output())["messages"][-1]["content"] == "w0 w1 "
        assert not await run.interrupted()
    async with await remote.astream_events(say("ask"), config, version="v3") as run:
        async for _ in run.values:
            pass
        # It ends with the interrupt, which precedes the end.
        while not await run.interrupted():
            await asyncio.sleep(0.01)
        assert [question["value"] for question in await run.interrupts()] == [{"question": "well?"}]
    async with await remote.astream_events(Command(resume="yes"), config, version="v3") as run:
        assert (await run.output())["messages"][-1]["content"] == "You said yes."


async def test_the_output_of_a_thread_s_next_run_is_its_own(either: Site, client: LangGraphClient) -> None:
    """Its end is watched on a stream of ends alone, which says nothing of the runs before it."""
    remote = RemoteGraph("obeying", client=client)
    config: Any = {"configurable": {"thread_id": str(uuid4())}}
    for asked, answer in (("talk 2", "w0 w1 "), ("talk 5 0.1", "w0 w1 w2 w3 w4 "), ("talk 3", "w0 w1 w2 ")):
        async with await remote.astream_events(say(asked), config, version="v3") as run:
            assert (await run.output())["messages"][-1]["content"] == answer


def test_a_stream_of_ends_begins_after_the_ends_that_its_user_has_received(obeying: Site) -> None:
    """A run may have ended before its client has opened this stream, which then still says so, once."""
    with httpx.Client(base_url=obeying.process.url, trust_env=False, timeout=20) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        address = f"/threads/{thread}"

        def ends(run: str) -> list[str]:
            """The event ids of the ends, until this run's."""
            found: list[str] = []
            with http.stream(
                "POST", f"{address}/stream/events", json={"channels": ["lifecycle", "input"]}
            ) as response:
                for line in response.iter_lines():
                    event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                    if event.get("params", {}).get("data", {}).get("event") == "completed":
                        found.append(event["event_id"])
                        if run in event["event_id"]:
                            return found
            raise AssertionError(f"The stream ended after {found}.")

        for text in ("talk 1", "talk 2", "talk 3 0.1"):
            run = http.post(f"{address}/runs", json={"assistant_id": "obeying", "input": say(text)}).json()[
                "run_id"
            ]
            if text != "talk 3 0.1":
                http.get(f"{address}/runs/{run}/join")
            assert ends(run) == [f"synth:{run}:lc||completed"]


def test_the_remote_graph_without_a_loop(either: Site, sync_client: SyncLangGraphClient) -> None:
    remote = RemoteGraph("obeying", sync_client=sync_client)
    with remote.stream_events(say("march 2"), version="v3") as run:
        assert [values.get("steps", 0) for values in run.values][-1] == 2
        assert run.output["messages"][-1]["content"] == "step 2"
