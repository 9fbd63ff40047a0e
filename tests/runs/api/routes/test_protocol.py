"""The agent streaming protocol over HTTP, by the stock client and on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from runs.api.routes.protocol import event_chunks
from runs.identity.principals import Principal
from runs.models import Run
from runs.protocols.agent.filters import CHANNELS, TURNS, Filter
from runs.protocols.sse import HEARTBEAT
from threads.db.database import in_database

Json = dict[str, Any]

HI: Json = {"messages": [{"role": "user", "content": "hi"}]}


class Thread:
    """A thread as a client of the protocol sees it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http, self.id = http, str(uuid4())

    async def command(self, method: str, **params: Any) -> Json:
        body = {"id": 7, "method": method, "params": params}
        answer = await self.http.post(f"/threads/{self.id}/commands", json=body)
        assert answer.status_code == 200
        assert answer.json()["id"] == 7
        return dict(answer.json())

    async def start(self, graph: str, input: Any, **params: Any) -> str:
        answer = await self.command("run.start", assistant_id=graph, input=input, **params)
        assert answer["type"] == "success", answer
        return str(answer["result"]["run_id"])

    async def events(self, *, runs: int = 1, **wanted: Any) -> list[Json]:
        """All events up to the end of this many runs."""
        found: list[Json] = []
        body = {"channels": list(CHANNELS), **wanted}
        async with (
            asyncio.timeout(20),
            self.http.stream("POST", f"/threads/{self.id}/stream/events", json=body) as response,
        ):
            assert response.status_code == 200
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line.removeprefix("data: ")))
                    if sum(map(is_end, found)) == runs:
                        return found
        raise AssertionError("The stream ended.")


def is_end(event: Json) -> bool:
    params = event["params"]
    ends = event["method"] == "lifecycle" and params["data"]["event"] in (
        "completed",
        "failed",
        "interrupted",
    )
    # A `completed` with a reason ended with the previous event.
    return ends and not params["namespace"] and "reason" not in params["data"]


def lifecycle(events: list[Json]) -> list[tuple[str, str]]:
    """(run, what happened to it) for each event of the thread's own graph."""
    return [
        (each["event_id"].split(":")[1], each["params"]["data"]["event"])
        for each in events
        if each["method"] == "lifecycle" and not each["params"]["namespace"]
    ]


def same(events: list[Json]) -> list[Any]:
    return [
        [each["seq"], each["event_id"], each["method"], {**each["params"], "timestamp": 0}] for each in events
    ]


@pytest.fixture
def thread(http: httpx.AsyncClient) -> Thread:
    return Thread(http)


# --- the stock client


async def test_the_stock_client_streams_a_run(sdk: LangGraphClient) -> None:
    async with sdk.threads.stream(assistant_id="talking") as thread:
        await thread.run.start(input={**HI, "tokens": 3})
        async with asyncio.timeout(20):
            # A message grows while the next one is awaited, because the client has a single reader.
            messages = [message async for message in thread.messages]
        assert [await message.text for message in messages] == ["w0 w1 w2 "]
        output = await thread.output
        assert [message["type"] for message in output["messages"]] == ["human", "ai"]


async def test_the_stock_client_sees_states_and_subgraphs(sdk: LangGraphClient) -> None:
    async with sdk.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"log": []})
        states = [values async for values in thread.values]
        assert states[-1]["log"] == ["first", "first", "x", "y", "fan", "fan"]
    async with sdk.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"log": []})
        names = [subgraph.graph_name async for subgraph in thread.subgraphs]
        assert names == ["child"]


async def test_the_stock_client_answers_a_question(sdk: LangGraphClient) -> None:
    async with sdk.threads.stream(assistant_id="asking") as thread:
        await thread.run.start(input={"log": []})
        async with asyncio.timeout(10):
            async for _ in thread.values:
                pass
        [question] = thread.interrupts
        assert question["value"] == {"question": "now"}
        await thread.run.respond("yes")
        async with asyncio.timeout(10):
            output = await thread.output
        assert "answer=yes" in output["log"]


# --- one log, every protocol


async def test_a_run_of_the_other_api_is_seen_in_full(thread: Thread) -> None:
    run = await thread.http.post(
        f"/threads/{thread.id}/runs",
        json={
            "assistant_id": "talking", "input": {**HI, "tokens": 3}, "if_not_exists": "create", "stream_mode": "values",
        },
    )  # fmt: skip
    events = await thread.events()
    kinds = {each["method"] for each in events}
    assert kinds == {"lifecycle", "values", "updates", "messages", "custom", "tasks", "checkpoints"}
    deltas = [
        each["params"]["data"]["delta"]["text"]
        for each in events
        if each["params"]["data"].get("event") == "content-block-delta"
    ]
    assert deltas == ["w0 ", "w1 ", "w2 "]
    # Its own readers get exactly the modes that it asked for.
    path = f"/threads/{thread.id}/runs/{run.json()['run_id']}/stream"
    own = await thread.http.get(path, headers={"Last-Event-ID": "-1"})
    assert {line for line in own.text.splitlines() if line.startswith("event:")} == {
        "event: metadata", "event: values",
    }  # fmt: skip


async def test_a_run_of_this_protocol_is_seen_by_the_other_one(thread: Thread) -> None:
    run = await thread.start("talking", {**HI, "tokens": 2})
    await thread.events()
    path = f"/threads/{thread.id}/runs/{run}/stream"
    answer = await thread.http.get(path, headers={"Last-Event-ID": "-1"})
    kinds = {line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event:")}
    assert kinds == {"metadata", "values", "updates", "messages", "custom"}


async def test_tokens_are_logged_once(thread: Thread) -> None:
    run = await thread.start("talking", {**HI, "tokens": 30})
    await thread.events()
    log = await in_database(lambda: list(Run.objects.get(id=run).events.values_list("data", flat=True)))
    assert sum("w7 " in data and "w8 " not in data for data in log) == 1


# --- the agent stream of a thread


async def test_every_reader_sees_the_same_and_goes_on_where_it_was(thread: Thread) -> None:
    for _ in range(3):
        await thread.start("talking", {**HI, "tokens": 2})
    live = await thread.events(runs=3)
    again = await thread.events(runs=3)
    assert same(live) == same(again)
    numbers = [each["seq"] for each in live]
    assert numbers == sorted(set(numbers))
    assert numbers[:3] == [1, 2, 3]
    for place in range(0, len(live) - 1, 7):
        rest = await thread.events(runs=sum(map(is_end, live[place + 1 :])), since=numbers[place])
        assert same(rest) == same(live[place + 1 :])
    values = [each for each in live if each["method"] == "values"]
    ended = sum(map(is_end, live))
    assert same(
        await thread.events(runs=ended, channels=["values", "lifecycle"], namespaces=[[]], depth=0)
    ) == same([each for each in live if each["method"] in ("values", "lifecycle")])
    assert values


async def test_a_stream_may_be_opened_before_its_thread_exists(thread: Thread) -> None:
    waiting = asyncio.create_task(thread.events())
    await asyncio.sleep(0.1)
    run = await thread.start("talking", {**HI, "tokens": 1})
    assert lifecycle(await waiting) == [(run, "running"), (run, "completed")]


async def test_a_client_that_knows_its_thread_does_not_begin_another_one_in_its_place(thread: Thread) -> None:
    known = {"assistant_id": "talking", "input": HI, "if_not_exists": "reject"}
    answer = await thread.command("run.start", **known)
    assert (answer["type"], answer["message"].split(":")[0]) == ("error", "404")
    assert not await in_database(Run.objects.filter(thread_id=thread.id).exists)
    await thread.start("talking", HI)
    assert (await thread.command("run.start", **known))["type"] == "success"


async def test_runs_that_end_while_they_wait_have_an_end(thread: Thread) -> None:
    first = await thread.start("sleeping", {"log": [], "delay": 30})
    live = asyncio.create_task(thread.events(runs=4))
    cancelled = await thread.start("sleeping", {"log": [], "delay": 0})
    answer = await thread.http.post(f"/threads/{thread.id}/runs/{cancelled}/cancel")
    assert answer.status_code == 202
    superseded = await thread.start("sleeping", {"log": [], "delay": 0})
    last = await thread.start("sleeping", {"log": [], "delay": 0}, multitaskStrategy="interrupt")
    events = await live
    assert lifecycle(events) == [
        (first, "running"), (first, "interrupted"), (first, "completed"),
        (cancelled, "running"), (cancelled, "interrupted"), (cancelled, "completed"),
        (superseded, "running"), (superseded, "interrupted"), (superseded, "completed"),
        (last, "running"), (last, "completed"),
    ]  # fmt: skip
    assert same(events) == same(await thread.events(runs=4))


async def test_a_thread_whose_first_run_never_began(thread: Thread) -> None:
    body = {"assistant_id": "sleeping", "input": {"log": []}, "if_not_exists": "create", "after_seconds": 60}
    run = (await thread.http.post(f"/threads/{thread.id}/runs", json=body)).json()["run_id"]
    await thread.http.post(f"/threads/{thread.id}/runs/{run}/cancel")
    first = await thread.events()
    assert lifecycle(first) == [(run, "running"), (run, "interrupted")]
    await thread.start("sleeping", {"log": []})
    both = await thread.events(runs=2)
    assert same(both)[:2] == same(first)
    assert [each["seq"] for each in both] == sorted({each["seq"] for each in both})


async def test_a_run_that_is_rolled_back_ends_for_who_watches_and_is_no_more(thread: Thread) -> None:
    run = await thread.start("sleeping", {"log": [], "delay": 20})
    live = asyncio.create_task(thread.events())
    await asyncio.sleep(0.2)
    await thread.http.post(f"/threads/{thread.id}/runs/{run}/cancel?action=rollback&wait=1")
    assert lifecycle(await live) == [(run, "running"), (run, "interrupted")]
    after = await thread.start("sleeping", {"log": []})
    assert lifecycle(await thread.events()) == [(after, "running"), (after, "completed")]


def number_of(frames: bytes) -> int:
    """The number of the last event in the frames."""
    return int(frames.decode().rstrip().rpartition("id: ")[2])


@pytest.mark.parametrize("graph", ["talking", "asking"])
async def test_an_end_is_told_after_the_content_that_a_slow_client_takes(thread: Thread, graph: str) -> None:
    """Clients read content and ends on two connections, and stop reading content after an end."""
    await thread.start(graph, {**HI, "tokens": 20} if graph == "talking" else {"log": []})
    last = (await thread.events())[-1]["seq"]
    principal = Principal(await in_database(lambda: Run.objects.get().user_id))

    def stream(*channels: str) -> AsyncGenerator[bytes]:
        return event_chunks(UUID(thread.id), Filter(frozenset(channels)), principal=principal)

    async with aclosing(stream("values", "messages")) as content, aclosing(stream(*TURNS)) as ends:
        assert await anext(content) == HEARTBEAT == await anext(ends)
        assert number_of(await anext(ends)) == 1
        taken = await anext(content)
        assert 1 < number_of(taken) < last
        end = asyncio.ensure_future(anext(ends))
        await asyncio.sleep(0.3)
        # The content may still be in transit.
        assert not end.done()
        more = asyncio.ensure_future(anext(content))
        found = await asyncio.wait_for(end, 10)
        while number_of(found) < last:
            found = await anext(ends)
        more.cancel()
        await asyncio.wait([more])


async def test_a_client_goes_on_by_the_id_of_the_last_event_it_had(thread: Thread) -> None:
    await thread.start("steps", {"log": []})
    every = await thread.events()
    for since, header in ((0, 5), (5, 2)):
        thread.http.headers["Last-Event-ID"] = str(header)
        assert same(await thread.events(since=since)) == same(every[5:])
    for bad in ("x", "-1", "1.5", "9" * 30, "٣"):
        refused = await thread.http.post(
            f"/threads/{thread.id}/stream/events",
            json={"channels": ["values"]},
            headers={"Last-Event-ID": bad.encode()},  # type: ignore[dict-item]
        )
        assert refused.status_code == 400, bad


async def test_a_stream_ends_with_its_thread(thread: Thread) -> None:
    await thread.start("sleeping", {"log": [], "delay": 30})
    found: list[Json] = []
    body = {"channels": list(CHANNELS)}
    async with (
        asyncio.timeout(20),
        thread.http.stream("POST", f"/threads/{thread.id}/stream/events", json=body) as response,
    ):
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
                if len(found) == 1:
                    assert (await thread.http.delete(f"/threads/{thread.id}")).status_code == 204
    assert [said for _, said in lifecycle(found)] == ["running", "interrupted", "completed"]
    assert (await thread.command("agent.getTree"))["error"] == "no_such_run"


async def test_a_run_keeps_the_name_of_the_graph_that_it_was_made_for(thread: Thread) -> None:
    made = await thread.http.post("/assistants", json={"graph_id": "sleeping"})
    assistant = made.json()["assistant_id"]
    await thread.start(assistant, {"log": [], "delay": 0})
    before = await thread.events()
    changed = await thread.http.patch(f"/assistants/{assistant}", json={"graph_id": "steps"})
    assert changed.status_code == 200
    assert same(await thread.events()) == same(before)
    await thread.start(assistant, {"log": []})
    names = [
        each["params"]["data"]["graph_name"]
        for each in await thread.events(runs=2, channels=["lifecycle"], since=0)
    ]
    assert names == ["sleeping", "sleeping", "steps", "steps"]


# --- commands


async def test_what_the_reference_answers_to_bad_commands(thread: Thread) -> None:
    url = f"/threads/{thread.id}/commands"
    for body, status, said in (
        (b"{", 400, {"detail": "Invalid JSON body"}),
        (b'{"method": "x"}', 400, {
            "type": "error", "id": None, "error": "invalid_argument",
            "message": "Protocol commands must include an integer id and string method.",
        }),
        (b'{"id": 1, "method": "foo.bar"}', 200, {
            "type": "error", "id": 1, "error": "unknown_command", "message": "Unknown protocol command: foo.bar",
        }),
        (b'{"id": 1, "method": "agent.getTree"}', 200, {
            "type": "error", "id": 1, "error": "no_such_run", "message": "No active run is bound to this thread.",
        }),
        (b'{"id": 1, "method": "run.start", "params": {}}', 200, {
            "type": "error", "id": 1, "error": "invalid_argument", "message": "run.start requires an assistant_id.",
        }),
        (b'{"id": 1, "method": "input.respond", "params": {}}', 200, {
            "type": "error", "id": 1, "error": "invalid_argument",
            "message": "input.respond requires an interrupt_id.",
        }),
        (b'{"id": 1, "method": "input.respond", "params": {"interrupt_id": "zzz"}}', 200, {
            "type": "error", "id": 1, "error": "no_such_interrupt",
            "message": "Unknown or already-consumed interrupt: zzz",
        }),
    ):  # fmt: skip
        answer = await thread.http.post(url, content=body)
        assert (answer.status_code, answer.json()) == (status, said)
    unknown = await thread.command("run.start", assistant_id="nope", input={})
    assert unknown["error"] == "unknown_error"
    assert unknown["message"].startswith("422: Invalid assistant: 'nope'.")
    forked = await thread.command(
        "run.start", assistant_id="talking", input={}, config={"configurable": {"checkpoint_id": "x"}}
    )
    assert forked["error"] == "invalid_argument"
    bad = await thread.command("run.start", assistant_id="talking", input={}, config=[])
    assert bad["error"] == "invalid_argument"
    # None of these commands created a thread.
    assert (await thread.http.get(f"/threads/{thread.id}")).status_code == 404


async def test_what_is_no_subscription_is_refused(thread: Thread) -> None:
    url = f"/threads/{thread.id}/stream/events"
    answer = await thread.http.post(url, json={"channels": []})
    assert (answer.status_code, answer.json()) == (
        400, {"detail": "channels is required and must be a non-empty array"},
    )  # fmt: skip
    assert (await thread.http.post(url, content=b"nonsense")).status_code == 400
    assert (await thread.http.post("/threads/nope/stream/events", json={})).status_code == 422


async def test_a_run_may_be_rejected_while_another_one_is_there(thread: Thread) -> None:
    await thread.start("sleeping", {"log": [], "delay": 5})
    answer = await thread.command("run.start", assistant_id="sleeping", input={}, multitaskStrategy="reject")
    assert answer["error"] == "unknown_error"
    assert answer["message"].startswith("409: Thread is already running a task.")


async def test_input_for_a_thread_that_waits_for_an_answer_is_the_answer(thread: Thread) -> None:
    await thread.start("asking", {"log": []})
    await thread.events()
    await thread.start("asking", "yes")
    events = await thread.events(runs=2)
    assert lifecycle(events)[-1][1] == "completed"
    state = await thread.command("state.get", keys=["log"])
    assert "answer=yes" in state["result"]["values"]["log"]


async def test_an_answer_reaches_its_question_once(thread: Thread) -> None:
    await thread.start("asking", {"log": []})
    events = await thread.events()
    [question] = [each["params"]["data"] for each in events if each["method"] == "input.requested"]
    answers = await asyncio.gather(
        *(
            thread.command(
                "input.respond", responses=[{"interrupt_id": question["interrupt_id"], "response": n}]
            )
            for n in (1, 2)
        )
    )
    # Either may come first.
    assert "success" in [each["type"] for each in answers]
    assert lifecycle(await thread.events(runs=2))[-1][1] == "completed"
    later = await thread.command("input.respond", interrupt_id=question["interrupt_id"], response=3)
    assert later["error"] == "no_such_interrupt"
    state = await thread.command("state.get")
    assert sum(str(each).startswith("answer=") for each in state["result"]["values"]["log"]) == 1


async def test_an_answer_goes_to_few_targets(thread: Thread) -> None:
    await thread.start("asking", {"log": []})
    events = await thread.events()
    [question] = [each["params"]["data"] for each in events if each["method"] == "input.requested"]
    answer = {"interrupt_id": question["interrupt_id"], "response": 1}
    refused = await thread.command("input.respond", **answer, goto=["slow"] * 101)
    assert (refused["error"], refused["message"]) == (
        "invalid_argument",
        "command.goto has at most 100 targets.",
    )
    assert (await thread.command("input.respond", **answer, goto=["slow"]))["type"] == "success"
    assert lifecycle(await thread.events(runs=2))[-1][1] == "completed"


async def test_states_are_read_and_forked(thread: Thread) -> None:
    await thread.start("steps", {"log": []})
    await thread.events()
    listed = (await thread.command("state.listCheckpoints", limit=20))["result"]["checkpoints"]
    assert [each["step"] for each in listed] == list(range(10, -2, -1))
    fork = listed[5]["id"]
    forked = await thread.command("state.fork", checkpoint_id=fork)
    assert forked["result"]["thread_id"] == thread.id
    events = await thread.events(runs=2)
    assert lifecycle(events)[-1] == (forked["result"]["run_id"], "completed")
    for method in ("state.fork", "run.start"):
        nowhere = {"config": {"configurable": {"checkpoint_id": str(uuid4())}}, "assistant_id": "steps"}
        unknown = await thread.command(method, checkpoint_id=str(uuid4()), input={"log": []}, **nowhere)
        assert unknown["error"] == "no_such_checkpoint"
    for method in ("state.get", "state.listCheckpoints"):
        assert (await thread.command(method, namespace=["nope"]))["error"] == "no_such_namespace"
    for config in ("x", {"configurable": "x"}, {"configurable": [1]}):
        refused = await thread.command("state.fork", checkpoint_id=fork, config=config)
        assert refused["error"] == "invalid_argument"


async def test_why_a_graph_cannot_be_loaded_is_told_to_nobody(
    http: httpx.AsyncClient, thread: Thread, run_settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    created = await http.post("/threads", json={"thread_id": thread.id, "metadata": {"graph_id": "broken"}})
    assert created.status_code == 200
    run_settings(GRAPHS={"broken": "tests.canary_module:graph"})
    for method in ("state.get", "state.listCheckpoints"):
        refused = await thread.command(method)
        assert refused["message"] == "500: The graph cannot be loaded; the server's log says why."
    assert "canary_module" in caplog.text


async def test_what_is_not_yours_does_not_exist(thread: Thread, stranger: httpx.AsyncClient) -> None:
    await thread.start("asking", {"log": []})
    events = await thread.events()
    [question] = [each["params"]["data"] for each in events if each["method"] == "input.requested"]
    other = Thread(stranger)
    other.id = thread.id
    answer = await other.command("input.respond", interrupt_id=question["interrupt_id"], response=1)
    assert answer["error"] == "no_such_interrupt"
    assert (await other.command("agent.getTree"))["error"] == "no_such_run"
    assert (await other.command("state.get"))["message"].startswith("404: ")
    assert (await other.command("state.listCheckpoints"))["message"].startswith("404: ")
    started = await other.command("run.start", assistant_id="asking", input={})
    assert started["message"] == "404: Thread or assistant not found."
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await other.events()
